//! What reaches outside the template: the environment, files, commands, Docker, `.env` files.

use std::io::ErrorKind;

use super::{Answer, Fault, Reader, Value};
use crate::secret::{
    Secret,
    dotenv::{self, Existing},
};

impl Reader<'_, '_, '_, '_> {
    /// `ENV["X"]`, `ENV.fetch("X")`, with a default or a block, `ENV.key?("X")`.
    pub(super) fn environment(&mut self, start: usize) -> Answer {
        if self.rest().starts_with('[') {
            self.at += 1;
            let name = self.name_argument()?;
            self.expects("]")?;
            return Ok(self.variable(&name).unwrap_or(Value::Nil));
        }
        if !self.rest().starts_with('.') {
            return Err(self.unsupported_at(start));
        }
        self.at += 1;
        let method = self.method_name();
        let method_start = self.at;
        self.at += method.len();
        match method {
            "fetch" => self.fetch(start),
            "key?" | "has_key?" | "include?" => {
                self.expects("(")?;
                let name = self.name_argument()?;
                self.expects(")")?;
                Ok(Value::Bool(self.variable(&name).is_some()))
            }
            other => Err(Fault::unsupported(
                method_start,
                other.len(),
                &format!("`ENV.{other}`"),
            )),
        }
    }

    fn fetch(&mut self, start: usize) -> Answer {
        self.expects("(")?;
        let name = self.name_argument()?;
        let known = self.variable(&name);
        let mut default = None;
        if self.takes(",") {
            default = Some(self.expression()?);
        }
        self.expects(")")?;
        let before = self.at;
        if self.takes("{") {
            default = Some(self.when(known.is_none(), Self::statements)?);
            self.expects("}")?;
        } else {
            self.at = before;
        }
        match known.or(default) {
            Some(value) => Ok(value),
            None if !self.live => Ok(Value::Nil),
            None => {
                let message = format!("the environment variable {name} is not set");
                let help = format!(
                    "set it: `export {name}=…`, or give a default: ENV.fetch(\"{name}\", \"…\")"
                );
                Err(Fault::fails(start, self.at - start, message).help(help))
            }
        }
    }

    /// The text of an argument; empty while nothing has an effect.
    fn name_argument(&mut self) -> Result<String, Fault> {
        self.skip_lines();
        let start = self.at;
        match self.expression()? {
            Value::Text(text) => Ok(text),
            Value::Nil | Value::Bool(_) | Value::Int(_) if !self.live => Ok(String::new()),
            Value::Nil | Value::Bool(_) | Value::Int(_) => {
                let problem = "this must be a text in quotes";
                Err(Fault::fails(start, self.at - start, problem))
            }
        }
    }

    fn variable(&self, name: &str) -> Option<Value> {
        self.world.environment.get(name).cloned().map(Value::Text)
    }

    /// `File.read("f")`, `File.exist?("f")`.
    pub(super) fn file(&mut self, start: usize) -> Answer {
        if !self.takes(".") {
            return Err(self.unsupported_at(start));
        }
        let method = self.method_name();
        if !matches!(method, "read" | "exist?") {
            return Err(Fault::unsupported(
                self.at,
                method.len(),
                &format!("`File.{method}`"),
            ));
        }
        self.at += method.len();
        self.expects("(")?;
        let path = self.name_argument()?;
        self.expects(")")?;
        if !self.live {
            return Ok(Value::Nil);
        }
        self.refuse_in_comment(start)?;
        let length = self.at - start;
        match ((self.world.read_file)(&path), method) {
            (Ok(text), "read") => Ok(Value::Text(text)),
            (Ok(_), _) => Ok(Value::Bool(true)),
            (Err(error), "exist?") if error.kind() == ErrorKind::NotFound => Ok(Value::Bool(false)),
            (Err(error), _) => {
                let fault = Fault::fails(start, length, format!("can't read {path}: {error}"));
                Err(fault.help("paths are relative to the project"))
            }
        }
    }

    pub(super) fn docker_arch(&mut self, start: usize) -> Answer {
        if !self.live {
            return Ok(Value::Nil);
        }
        self.refuse_in_comment(start)?;
        let arch = (self.world.docker_arch)();
        arch.map(Value::Text).map_err(|problem| {
            let message = format!("can't ask Docker for its architecture: {problem}");
            Fault::fails(start, self.at - start, message)
                .help("start Docker, or write the architecture: `arch: amd64`")
        })
    }

    /// Runs a command that the user allowed.
    pub(super) fn command(&mut self, start: usize, command: &str) -> Answer {
        if !self.live {
            return Ok(Value::Nil);
        }
        self.refuse_in_comment(start)?;
        let length = self.at - start;
        let line = command.trim();
        if !self
            .world
            .allowed_commands
            .iter()
            .any(|allowed| allowed == line)
        {
            if is_ecr_login(line) {
                // The host logs in to ECR itself, with the user's own AWS credentials: nothing has to be run.
                return Ok(Value::Text(String::new()));
            }
            let quoted = serde_json::Value::from(line);
            let message = format!("the template runs a command that was not allowed: {line}");
            let help = format!("if you trust it, add it to plimsoll.yml: `commands: [{quoted}]`");
            return Err(Fault::fails(start, length, message).help(help));
        }
        let output = (self.world.run)(command, &self.world.environment).map_err(|problem| {
            Fault::fails(start, length, format!("can't run {line}: {problem}"))
        })?;
        let answer = Secret::new(output.trim());
        self.scope.outputs.push((line.to_owned(), answer));
        Ok(Value::Text(output))
    }

    /// On comment lines nothing is read and nothing run: the tag stays as it is.
    fn refuse_in_comment(&self, start: usize) -> Result<(), Fault> {
        match self.scope.comment {
            true => Err(Fault::unsupported(
                start,
                self.at - start,
                "this, in a comment,",
            )),
            false => Ok(()),
        }
    }

    /// `require "dotenv"`; what else there is to require is not here.
    pub(super) fn require(&mut self) -> Answer {
        let start = self.at;
        self.at += "require".len();
        let parenthesis = self.takes("(");
        let library = self.name_argument()?;
        if parenthesis {
            self.expects(")")?;
        }
        match library.as_str() {
            "dotenv" => Ok(Value::Bool(true)),
            "dotenv/load" => self.load_dotenv(start, &[".env".to_owned()], Existing::Keep),
            _ if !self.live => Ok(Value::Nil),
            _ => Err(Fault::unsupported(
                start,
                self.at - start,
                &format!("`require \"{library}\"`"),
            )),
        }
    }

    /// `Dotenv.load`, `Dotenv.overload`, with files or without.
    pub(super) fn dotenv(&mut self) -> Answer {
        let start = self.at;
        self.at += "Dotenv".len();
        if !self.takes(".") {
            return Err(self.unsupported_at(start));
        }
        let existing = match self.method_name() {
            "load" => Existing::Keep,
            "overload" => Existing::Overwrite,
            _ => return Err(self.unsupported_here()),
        };
        self.at += self.method_name().len();
        let parenthesis = self.rest().starts_with('(');
        self.at += usize::from(parenthesis);
        let mut files = Vec::new();
        self.skip_space();
        while parenthesis && !self.rest().starts_with(')') || self.rest().starts_with(['"', '\'']) {
            files.push(self.name_argument()?);
            if !self.takes(",") {
                break;
            }
            self.skip_space();
        }
        if parenthesis {
            self.expects(")")?;
        }
        if files.is_empty() {
            files.push(".env".to_owned());
        }
        self.load_dotenv(start, &files, existing)
    }

    fn load_dotenv(&mut self, start: usize, files: &[String], existing: Existing) -> Answer {
        if !self.live {
            return Ok(Value::Nil);
        }
        self.refuse_in_comment(start)?;
        let length = self.at - start;
        for file in files {
            let text = match (self.world.read_file)(file) {
                Ok(text) => text,
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(error) => {
                    return Err(Fault::fails(
                        start,
                        length,
                        format!("can't read {file}: {error}"),
                    ));
                }
            };
            let world = &*self.world;
            let run = |command: &str| match world
                .allowed_commands
                .iter()
                .any(|c| c == command.trim())
            {
                true => (world.run)(command, &world.environment),
                false => Err(format!(
                    "it runs a command that was not allowed: {command}\nhint: if you trust it, add it to plimsoll.yml: `commands: [{}]`",
                    serde_json::Value::from(command.trim())
                )),
            };
            let values = dotenv::parse(&text, &world.environment, existing, &run)
                .map_err(|error| Fault::fails(start, length, format!("{file}, {error}")))?;
            for (name, value) in values {
                self.world
                    .environment
                    .insert(name, value.expose().to_owned());
            }
        }
        Ok(Value::Nil)
    }
}

/// `aws ecr get-login-password`, with options or without.
fn is_ecr_login(line: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || " -_.=".contains(c);
    let rest = line.strip_prefix("aws ecr get-login-password");
    rest.is_some_and(|rest| (rest.is_empty() || rest.starts_with(' ')) && rest.chars().all(plain))
}
