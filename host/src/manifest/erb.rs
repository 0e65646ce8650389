//! ERB templates in manifests: the tags, and what is done with their values. `ruby` evaluates what stands in them.
//!
//! Kamal evaluates arbitrary Ruby. This is the part of it that configurations use: environment variables, files,
//! commands (each allowed by the user), literals and conditions. Everything else is refused with its place. On YAML
//! comment lines nothing can matter, so there a tag outside the subset stays as it is, and no file is read and no
//! command run.

use std::{collections::BTreeMap, io};

use super::{
    diagnostic::Diagnostic,
    origin::{self, Origins},
};

use crate::secret::Secret;

mod ruby;
mod tag;

use ruby::{Condition, Control, Fault, Scope};
use tag::{Kind, Tag};

/// See [`World::run`].
pub type RunWith<'a> = dyn Fn(&str, &BTreeMap<String, String>) -> Result<String, String> + 'a;

/// What a template may ask of the world, answered by the caller.
pub struct World<'a> {
    /// The process environment. `Dotenv.load` adds to it.
    pub environment: BTreeMap<String, String>,
    /// Command lines that the user allowed, word for word.
    pub allowed_commands: &'a [String],
    /// Runs an allowed command with that environment, for its standard output.
    pub run: &'a RunWith<'a>,
    /// Reads a file of the project.
    pub read_file: &'a dyn Fn(&str) -> io::Result<String>,
    /// Architecture of the local Docker Engine, as Kamal writes it: `amd64`, `arm64`.
    pub docker_arch: &'a dyn Fn() -> Result<String, String>,
}

/// A template after evaluation.
#[derive(Clone, Debug)]
pub struct Rendered {
    /// The text. Lines stay where they were unless a tag spans lines, yields lines or trims its line.
    pub text: String,
    /// Where its parts came from.
    pub origins: Origins,
    /// What commands answered, by command line.
    pub outputs: Vec<(String, Secret)>,
}

/// Evaluates a template.
pub fn render(path: &str, text: &str, world: &mut World<'_>) -> Result<Rendered, Diagnostic> {
    let finding = |fault: Fault, code_start: usize| {
        let start = code_start + fault.at;
        let marked = text.get(start..start + fault.length).unwrap_or_default();
        let marked = marked.lines().next().unwrap_or_default().chars().count();
        let length = u32::try_from(marked).unwrap_or(u32::MAX);
        let at = origin::position(path, text, start, length);
        let diagnostic = Diagnostic::error(fault.code(), fault.message).at(at);
        match fault.help {
            Some(help) => diagnostic.help(help),
            None => diagnostic,
        }
    };
    let mut template = Template {
        source: text,
        rendered: Rendered {
            text: String::with_capacity(text.len()),
            origins: Origins::default(),
            outputs: Vec::new(),
        },
        scope: Scope::default(),
        branches: Vec::new(),
    };
    let mut copied = 0;
    while let Some(tag) = tag::next(text, copied).map_err(|fault| finding(fault, 0))? {
        template.copy(copied, tag.start);
        let code_start = tag.code_start;
        template
            .evaluate(&tag, world)
            .map_err(|fault| finding(fault, code_start))?;
        copied = tag.end;
    }
    template.copy(copied, text.len());
    if let Some(branch) = template.branches.last() {
        let fault = Fault::fails(0, 2, "this `if` has no `<% end %>`");
        return Err(finding(fault, branch.opened));
    }
    Ok(Rendered {
        outputs: template.scope.outputs,
        ..template.rendered
    })
}

/// An `if` that is not ended yet.
struct Branch {
    /// Byte of its code.
    opened: usize,
    /// Whether the text that follows counts.
    live: bool,
    /// Whether one of its conditions was true.
    taken: bool,
    /// Whether the text around it counts.
    outside: bool,
}

struct Template<'a> {
    source: &'a str,
    rendered: Rendered,
    scope: Scope,
    branches: Vec<Branch>,
}

impl Template<'_> {
    fn live(&self) -> bool {
        self.branches.last().is_none_or(|branch| branch.live)
    }

    fn copy(&mut self, from: usize, to: usize) {
        if self.live() && from < to {
            let at = self.rendered.text.len();
            self.rendered.origins.copied(at, from, to - from);
            self.rendered.text.push_str(&self.source[from..to]);
        }
    }

    fn evaluate(&mut self, tag: &Tag<'_>, world: &mut World<'_>) -> Result<(), Fault> {
        match tag.kind {
            Kind::Comment => Ok(()),
            Kind::Literal => {
                self.replace(tag, "<%");
                Ok(())
            }
            Kind::Code => match ruby::control(tag.code) {
                Some(control) => self.branch(tag, control, world),
                None => self.value(tag, world).map(|_| ()),
            },
            Kind::Output => {
                if let Some(value) = self.value(tag, world)? {
                    self.replace(tag, &value);
                }
                Ok(())
            }
        }
    }

    fn replace(&mut self, tag: &Tag<'_>, value: &str) {
        if self.live() {
            let at = self.rendered.text.len();
            let length = tag.end - tag.start;
            self.rendered.origins.replaced(at, tag.start, length);
            self.rendered.text.push_str(value);
        }
    }

    /// Evaluates a tag that counts. None when there is nothing to put in its place.
    fn value(&mut self, tag: &Tag<'_>, world: &mut World<'_>) -> Result<Option<String>, Fault> {
        if !self.live() {
            return Ok(None);
        }
        let comment = on_comment_line(self.source, tag.start);
        self.scope.comment = comment;
        let before = world.environment.clone();
        match self.scope.evaluate(tag.code, world) {
            Ok(value) => Ok(Some(value.to_text())),
            Err(fault) if comment && fault.unsupported => {
                world.environment = before;
                self.copy(tag.start, tag.end);
                Ok(None)
            }
            Err(fault) => Err(fault),
        }
    }

    fn branch(
        &mut self,
        tag: &Tag<'_>,
        control: Control<'_>,
        world: &mut World<'_>,
    ) -> Result<(), Fault> {
        let indent = tag.code.len() - tag.code.trim_start().len();
        let stray = |word: &str| {
            let message = format!("`{word}` without an `if` before it");
            Fault::fails(indent, word.len(), message)
        };
        match control {
            Control::If { condition, negated } => {
                let outside = self.live();
                let taken = outside && self.holds(condition, negated, world)?;
                self.branches.push(Branch {
                    opened: tag.code_start + indent,
                    live: taken,
                    taken,
                    outside,
                });
            }
            Control::Elsif { condition } => {
                let last = self.branches.last().ok_or_else(|| stray("elsif"))?;
                let open = last.outside && !last.taken;
                let holds = open && self.holds(condition, false, world)?;
                let last = self.branches.last_mut().expect("it was there a line above");
                last.live = holds;
                last.taken |= holds;
            }
            Control::Else => {
                let last = self.branches.last_mut().ok_or_else(|| stray("else"))?;
                last.live = last.outside && !last.taken;
                last.taken = true;
            }
            Control::End => {
                self.branches.pop().ok_or_else(|| stray("end"))?;
            }
        }
        Ok(())
    }

    fn holds(
        &mut self,
        condition: Condition<'_>,
        negated: bool,
        world: &mut World<'_>,
    ) -> Result<bool, Fault> {
        self.scope.comment = false;
        let value = self
            .scope
            .evaluate(condition.text, world)
            .map_err(|fault| Fault {
                at: fault.at + condition.at,
                ..fault
            })?;
        Ok(value.truthy() != negated)
    }
}

/// Whether the line of a byte is a YAML comment as far as that byte.
fn on_comment_line(text: &str, at: usize) -> bool {
    let line = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
    text[line..at]
        .trim_start_matches([' ', '\t'])
        .starts_with('#')
}

#[cfg(test)]
mod tests;
