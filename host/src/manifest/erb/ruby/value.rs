//! Values of expressions, and the methods that can be called on them.

use super::Fault;

/// A Ruby value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) enum Value {
    Nil,
    Bool(bool),
    Int(i64),
    Text(String),
}

/// Why a method has no answer.
pub(super) enum Problem {
    Unknown,
    /// Ruby would fail too: `nil.strip`.
    Misplaced(&'static str),
}

impl Problem {
    pub(super) fn at(self, start: usize, method: &str) -> Fault {
        match self {
            Self::Unknown => Fault::unsupported(start, method.len(), &format!("`.{method}`")),
            Self::Misplaced(on) => {
                let message = format!("`.{method}` can't be called on {on}");
                let fault = Fault::fails(start, method.len(), message);
                match on {
                    "nil" => fault.help("is the variable before it set?"),
                    _ => fault,
                }
            }
        }
    }
}

const WITHOUT_ARGUMENT: [&str; 15] = [
    "strip", "lstrip", "rstrip", "chomp", "upcase", "downcase", "empty?", "length", "to_s", "to_i",
    "nil?", "blank?", "present?", "presence", "freeze",
];
const WITH_ARGUMENT: [&str; 6] = [
    "start_with?",
    "end_with?",
    "include?",
    "delete_prefix",
    "delete_suffix",
    "chomp",
];

/// Whether there is such a method at all.
pub(super) fn knows(method: &str, argument: bool) -> bool {
    match argument {
        true => WITH_ARGUMENT.contains(&method),
        false => WITHOUT_ARGUMENT.contains(&method),
    }
}

impl Value {
    /// What a tag writes.
    pub(in super::super) fn to_text(&self) -> String {
        match self {
            Self::Nil => String::new(),
            Self::Bool(value) => value.to_string(),
            Self::Int(value) => value.to_string(),
            Self::Text(text) => text.clone(),
        }
    }

    /// Everything but nil and false.
    pub(in super::super) fn truthy(&self) -> bool {
        !matches!(self, Self::Nil | Self::Bool(false))
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Nil => "nil",
            Self::Bool(_) => "a boolean",
            Self::Int(_) => "a number",
            Self::Text(_) => "a text",
        }
    }

    /// Calls a method.
    pub(super) fn call(&self, method: &str, argument: Option<&Self>) -> Result<Self, Problem> {
        if !knows(method, argument.is_some()) {
            return Err(Problem::Unknown);
        }
        let blank = match self {
            Self::Nil => true,
            Self::Bool(value) => !value,
            Self::Int(_) => false,
            Self::Text(text) => text.trim().is_empty(),
        };
        match method {
            "to_s" => return Ok(Self::Text(self.to_text())),
            "nil?" => return Ok(Self::Bool(*self == Self::Nil)),
            "freeze" => return Ok(self.clone()),
            "blank?" => return Ok(Self::Bool(blank)),
            "present?" => return Ok(Self::Bool(!blank)),
            "presence" if blank => return Ok(Self::Nil),
            "presence" => return Ok(self.clone()),
            "to_i" => return self.to_number(),
            _ => {}
        }
        let Self::Text(text) = self else {
            return Err(Problem::Misplaced(self.kind()));
        };
        let argument = match argument {
            None => None,
            Some(Self::Text(argument)) => Some(argument.as_str()),
            Some(_) => return Err(Problem::Unknown),
        };
        let answer = |text: &str| Ok(Self::Text(text.to_owned()));
        match (method, argument) {
            ("strip", None) => answer(text.trim_matches(is_space)),
            ("lstrip", None) => answer(text.trim_start_matches(is_space)),
            ("rstrip", None) => answer(text.trim_end_matches(is_space)),
            ("chomp", None) => answer(match text.strip_suffix('\n') {
                Some(line) => line.strip_suffix('\r').unwrap_or(line),
                None => text.strip_suffix('\r').unwrap_or(text),
            }),
            ("upcase", None) => answer(&text.to_uppercase()),
            ("downcase", None) => answer(&text.to_lowercase()),
            ("empty?", None) => Ok(Self::Bool(text.is_empty())),
            ("length", None) => i64::try_from(text.chars().count())
                .map(Self::Int)
                .map_err(|_| Problem::Unknown),
            ("start_with?", Some(part)) => Ok(Self::Bool(text.starts_with(part))),
            ("end_with?", Some(part)) => Ok(Self::Bool(text.ends_with(part))),
            ("include?", Some(part)) => Ok(Self::Bool(text.contains(part))),
            ("delete_prefix", Some(part)) => answer(text.strip_prefix(part).unwrap_or(text)),
            ("delete_suffix" | "chomp", Some(part)) => {
                answer(text.strip_suffix(part).unwrap_or(text))
            }
            _ => Err(Problem::Unknown),
        }
    }

    fn to_number(&self) -> Result<Self, Problem> {
        match self {
            Self::Nil => Ok(Self::Int(0)),
            Self::Int(number) => Ok(Self::Int(*number)),
            Self::Bool(_) => Err(Problem::Misplaced(self.kind())),
            Self::Text(text) => {
                let text = text.trim_start();
                let sign = usize::from(text.starts_with(['-', '+']));
                let digits = text[sign..].find(|c: char| !c.is_ascii_digit());
                let number = &text[..digits.map_or(text.len(), |digits| sign + digits)];
                let number = number.strip_prefix('+').unwrap_or(number);
                Ok(Self::Int(number.parse().unwrap_or(0)))
            }
        }
    }
}

fn is_space(c: char) -> bool {
    c.is_ascii_whitespace() || matches!(c, '\u{b}' | '\0')
}
