//! Statements, expressions and method calls.

use super::{
    Answer, Fault, Reader,
    value::{self, Value},
};

impl<'c> Reader<'c, '_, '_, '_> {
    pub(super) fn statements(&mut self) -> Answer {
        let mut value = Value::Nil;
        loop {
            self.skip_lines();
            while self.takes(";") {
                self.skip_lines();
            }
            if self.rest().is_empty() || self.rest().starts_with([')', '}']) {
                return Ok(value);
            }
            value = self.statement()?;
            // A statement ends with its line or a semicolon.
            let rest = self.rest().trim_start_matches([' ', '\t', '\r']);
            if !(rest.is_empty() || rest.starts_with(['\n', ';', ')', '}'])) {
                return Ok(value);
            }
        }
    }

    /// A statement with its `if` or `unless` behind it.
    fn statement(&mut self) -> Answer {
        let start = self.at;
        self.dead(Self::simple_statement)?;
        let after = self.at;
        let negated = match self.word() {
            "if" => false,
            "unless" => true,
            _ => {
                self.at = start;
                return self.simple_statement();
            }
        };
        self.at += self.word().len();
        let condition = self.expression()?.truthy() != negated;
        let end = self.at;
        self.at = start;
        let value = self.when(condition, Self::simple_statement)?;
        debug_assert_eq!(self.at, after, "reading does not depend on values");
        self.at = end;
        Ok(if condition { value } else { Value::Nil })
    }

    fn simple_statement(&mut self) -> Answer {
        match self.word() {
            "require" => return self.require(),
            "Dotenv" => return self.dotenv(),
            name if name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_') => {
                let start = self.at;
                self.at += name.len();
                if self.takes("=") && !self.rest().starts_with(['=', '~']) {
                    let value = self.expression()?;
                    if self.live {
                        self.scope.locals.insert(name.to_owned(), value.clone());
                    }
                    return Ok(value);
                }
                self.at = start;
            }
            _ => {}
        }
        self.expression()
    }

    pub(super) fn expression(&mut self) -> Answer {
        self.deeper()?;
        let condition = self.either()?;
        let value = if self.takes("?") {
            let holds = condition.truthy();
            let yes = self.when(holds, Self::expression)?;
            self.expects(":")?;
            let no = self.when(!holds, Self::expression)?;
            if holds { yes } else { no }
        } else {
            condition
        };
        self.depth -= 1;
        Ok(value)
    }

    fn either(&mut self) -> Answer {
        let mut value = self.both()?;
        while self.takes("||") {
            let settled = value.truthy();
            let other = self.when(!settled, Self::both)?;
            value = if settled { value } else { other };
        }
        Ok(value)
    }

    fn both(&mut self) -> Answer {
        let mut value = self.comparison()?;
        while self.takes("&&") {
            let goes_on = value.truthy();
            let other = self.when(goes_on, Self::comparison)?;
            value = if goes_on { other } else { value };
        }
        Ok(value)
    }

    fn comparison(&mut self) -> Answer {
        let value = self.sum()?;
        for (sign, equal) in [("==", true), ("!=", false)] {
            if self.takes(sign) {
                let other = self.sum()?;
                return Ok(Value::Bool((value == other) == equal));
            }
        }
        Ok(value)
    }

    fn sum(&mut self) -> Answer {
        let mut value = self.negation()?;
        loop {
            let minus = if self.takes("+") {
                false
            } else if self.takes("-") {
                true
            } else {
                return Ok(value);
            };
            let start = self.at - 1;
            let other = self.negation()?;
            if !self.live {
                continue;
            }
            let sum = match (&value, other, minus) {
                (Value::Int(a), Value::Int(b), false) => a.checked_add(b).map(Value::Int),
                (Value::Int(a), Value::Int(b), true) => a.checked_sub(b).map(Value::Int),
                (Value::Text(a), Value::Text(b), false) => Some(Value::Text(format!("{a}{b}"))),
                _ => None,
            };
            let problem = "only two numbers or two texts can be added, only numbers subtracted";
            value = sum.ok_or_else(|| Fault::fails(start, 1, problem))?;
        }
    }

    fn negation(&mut self) -> Answer {
        self.skip_lines();
        let mut negated = false;
        let mut any = false;
        while self.rest().starts_with('!') && !self.rest().starts_with("!=") {
            self.at += 1;
            self.skip_space();
            negated = !negated;
            any = true;
        }
        let value = self.called()?;
        Ok(match any {
            true => Value::Bool(value.truthy() != negated),
            false => value,
        })
    }

    /// A value and the methods called on it.
    fn called(&mut self) -> Answer {
        let mut value = self.primary()?;
        loop {
            let before = self.at;
            self.skip_lines();
            let safe = self.rest().starts_with("&.");
            if !safe && !self.rest().starts_with('.') {
                self.at = before;
                return Ok(value);
            }
            self.at += if safe { 2 } else { 1 };
            let method = self.method_name();
            let start = self.at;
            self.at += method.len();
            let argument = match self.rest().starts_with('(') {
                true => {
                    self.at += 1;
                    self.skip_lines();
                    match self.takes(")") {
                        true => None,
                        false => {
                            let argument = self.expression()?;
                            self.expects(")")?;
                            Some(argument)
                        }
                    }
                }
                false => None,
            };
            if !self.live || (safe && value == Value::Nil) {
                if !value::knows(method, argument.is_some()) {
                    return Err(Fault::unsupported(
                        start,
                        method.len(),
                        &format!("`.{method}`"),
                    ));
                }
                continue;
            }
            value = value
                .call(method, argument.as_ref())
                .map_err(|problem| problem.at(start, method))?;
        }
    }

    pub(super) fn method_name(&mut self) -> &'c str {
        let word = self.word();
        let end = self.at + word.len();
        match self.code[end..].starts_with(['?', '!']) {
            true => &self.code[self.at..=end],
            false => word,
        }
    }

    fn primary(&mut self) -> Answer {
        self.skip_lines();
        let start = self.at;
        if let Some(value) = self.literal()? {
            return Ok(value);
        }
        if self.takes("(") {
            self.deeper()?;
            let value = self.statements()?;
            self.expects(")")?;
            self.depth -= 1;
            return Ok(value);
        }
        let word = self.word();
        self.at += word.len();
        match word {
            "nil" => Ok(Value::Nil),
            "true" => Ok(Value::Bool(true)),
            "false" => Ok(Value::Bool(false)),
            "ENV" => self.environment(start),
            "File" | "IO" => self.file(start),
            "Kamal" if self.takes("::Utils.docker_arch") => self.docker_arch(start),
            "" if self.rest().is_empty() => Err(Fault::fails(start, 1, "a value is missing here")),
            name => {
                if let Some(value) = self.scope.locals.get(name) {
                    return Ok(value.clone());
                }
                if !self.live {
                    // It may be a local that was set in a branch that does not count.
                    return match name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_') {
                        true => Ok(Value::Nil),
                        false => Err(self.unsupported_at(start)),
                    };
                }
                let alone = self.rest().trim().is_empty();
                let plain = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
                if alone && plain && name != "self" && name != "binding" {
                    let fault = Fault::fails(start, name.len(), format!("`{name}` is not defined"));
                    return Err(
                        fault.help("set it in a tag before this one, or write the value itself")
                    );
                }
                Err(self.unsupported_at(start))
            }
        }
    }

    pub(super) fn unsupported_at(&mut self, start: usize) -> Fault {
        self.at = start;
        self.unsupported_here()
    }
}
