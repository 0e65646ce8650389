//! The part of Ruby that stands in templates: a reader that evaluates while it reads.
//!
//! Precedence, loosest first: `? :`, `||`, `&&`, `== !=`, `+ -`, `!`, method calls.

use std::collections::BTreeMap;

use super::World;
use crate::secret::Secret;

mod expression;
mod literal;
mod outside;
mod value;

pub(super) use value::Value;

/// Why a tag has no value. Places are bytes in the tag's code.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) at: usize,
    pub(super) length: usize,
    pub(super) message: String,
    pub(super) help: Option<String>,
    /// It may be Ruby, and is outside the subset; else Ruby would fail too, or the user must act.
    pub(super) unsupported: bool,
}

impl Fault {
    pub(super) fn fails(at: usize, length: usize, message: impl Into<String>) -> Self {
        Self {
            at,
            length,
            message: message.into(),
            help: None,
            unsupported: false,
        }
    }

    pub(super) fn unsupported(at: usize, length: usize, what: &str) -> Self {
        Self {
            unsupported: true,
            ..Self::fails(at, length, format!("{what} is not in the part of Ruby that plimsoll evaluates"))
        }
        .help(
            "plimsoll knows ENV[\"X\"], ENV.fetch(\"X\", \"default\"), File.read(\"f\"), %x(command), \
             Kamal::Utils.docker_arch, literals, ||, &&, ==, ? :, if/else and Dotenv.load;\n\
             for anything else keep the template as deploy.yml.erb and write the manifest from it: \
             `erb -T - config/deploy.yml.erb > config/deploy.yml`",
        )
    }

    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    pub(super) fn code(&self) -> &'static str {
        if self.unsupported {
            "erb-unsupported"
        } else {
            "erb"
        }
    }
}

/// Words that build branches out of several tags.
pub(super) enum Control<'a> {
    If {
        condition: Condition<'a>,
        negated: bool,
    },
    Elsif {
        condition: Condition<'a>,
    },
    Else,
    End,
}

/// What a branch depends on.
pub(super) struct Condition<'a> {
    pub(super) text: &'a str,
    /// Its place in the tag's code.
    pub(super) at: usize,
}

/// Reads a tag as one of those words.
pub(super) fn control(code: &str) -> Option<Control<'_>> {
    let start = code.len() - code.trim_start().len();
    let end = code[start..].find(|c: char| !c.is_ascii_alphanumeric());
    let end = end.map_or(code.len(), |length| start + length);
    let rest = code[end..].trim();
    let condition = Condition {
        text: rest.strip_suffix(" then").unwrap_or(rest),
        at: code.len() - code[end..].trim_start().len(),
    };
    match &code[start..end] {
        "if" => Some(Control::If {
            condition,
            negated: false,
        }),
        "unless" => Some(Control::If {
            condition,
            negated: true,
        }),
        "elsif" => Some(Control::Elsif { condition }),
        "else" if rest.is_empty() => Some(Control::Else),
        "end" if rest.is_empty() => Some(Control::End),
        _ => None,
    }
}

/// Deepest nesting of parentheses and interpolations.
const DEPTH: usize = 40;

/// What tags of one template share.
#[derive(Default)]
pub(super) struct Scope {
    locals: BTreeMap<String, Value>,
    /// What commands answered.
    pub(super) outputs: Vec<(String, Secret)>,
    /// On a comment line: files and commands are left alone.
    pub(super) comment: bool,
}

impl Scope {
    /// The value of the last statement.
    pub(super) fn evaluate(&mut self, code: &str, world: &mut World<'_>) -> Result<Value, Fault> {
        let mut reader = Reader {
            code,
            at: 0,
            live: true,
            depth: 0,
            scope: self,
            world,
        };
        let value = reader.statements()?;
        match reader.rest().chars().next() {
            None => Ok(value),
            Some(_) => Err(reader.unsupported_here()),
        }
    }
}

struct Reader<'c, 's, 'w, 'o> {
    code: &'c str,
    at: usize,
    /// Off while reading what must not happen: the other side of `||`, of a condition.
    live: bool,
    depth: usize,
    scope: &'s mut Scope,
    world: &'w mut World<'o>,
}

type Answer = Result<Value, Fault>;

impl<'c> Reader<'c, '_, '_, '_> {
    fn rest(&self) -> &'c str {
        &self.code[self.at..]
    }

    /// Skips space within a line: a statement ends with its line.
    fn skip_space(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start_matches([' ', '\t', '\r']).len();
    }

    /// Skips space where a statement can't have ended.
    fn skip_lines(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
    }

    /// Takes a sign if it comes next, after space.
    fn takes(&mut self, sign: &str) -> bool {
        let before = self.at;
        self.skip_space();
        let found = self.rest().starts_with(sign);
        self.at = if found { self.at + sign.len() } else { before };
        found
    }

    /// The word that comes next, after space, without taking it.
    fn word(&mut self) -> &'c str {
        self.skip_space();
        let rest = self.rest();
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        &rest[..end.unwrap_or(rest.len())]
    }

    fn expects(&mut self, sign: &str) -> Result<(), Fault> {
        self.skip_lines();
        if self.takes(sign) {
            return Ok(());
        }
        let fault = match self.rest().is_empty() {
            true => Fault::fails(self.at, 1, format!("`{sign}` is missing here")),
            false => self.unsupported_here(),
        };
        Err(fault)
    }

    fn unsupported_here(&mut self) -> Fault {
        let word = self.word();
        let end = self.rest().find(char::is_whitespace);
        let shown = if word.is_empty() {
            &self.rest()[..end.unwrap_or(self.rest().len())]
        } else {
            word
        };
        Fault::unsupported(self.at, shown.len(), &format!("`{shown}`"))
    }

    /// Reads without effect.
    fn dead<T>(&mut self, read: impl FnOnce(&mut Self) -> T) -> T {
        self.when(false, read)
    }

    /// Reads with effect only when a condition holds.
    fn when<T>(&mut self, condition: bool, read: impl FnOnce(&mut Self) -> T) -> T {
        let live = self.live;
        self.live = live && condition;
        let result = read(self);
        self.live = live;
        result
    }

    fn deeper(&mut self) -> Result<(), Fault> {
        self.depth += 1;
        match self.depth > DEPTH {
            true => Err(Fault::fails(self.at, 1, "this is nested too deeply")),
            false => Ok(()),
        }
    }
}
