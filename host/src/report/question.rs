//! Questions with more answers than yes and no.

use std::io::{self, BufRead, IsTerminal, Write};
use std::sync::PoisonError;

use super::Reporter;
use crate::plan::printable;

impl Reporter {
    /// Asks for one of several; none when the answer is none of them.
    pub fn pick(&self, question: &str, options: &[String]) -> Option<usize> {
        self.list(question, options);
        chosen(&self.answer("Number or name: ")?, options)
    }

    /// Asks for some of several, in the order of the answer.
    pub fn pick_some(&self, question: &str, options: &[String]) -> Vec<usize> {
        self.list(question, options);
        let answer = self.answer("Numbers or names, or `all`: ");
        let answer = answer.unwrap_or_default();
        if answer == "all" {
            return (0..options.len()).collect();
        }
        let words = answer.split([',', ' ']);
        words.filter_map(|word| chosen(word, options)).collect()
    }

    /// Asks for a line; none when nobody is there, or nothing is said.
    pub fn ask_for(&self, what: &str) -> Option<String> {
        if !io::stdin().is_terminal() {
            return None;
        }
        let answer = self.answer(&format!("{what}: "))?;
        (!answer.is_empty()).then_some(answer)
    }

    fn list(&self, question: &str, options: &[String]) {
        let mut screen = self.screen.lock().unwrap_or_else(PoisonError::into_inner);
        self.make_room(&mut screen, true);
        let mut text = format!("{}\n", printable(question));
        for (index, option) in options.iter().enumerate() {
            text.push_str(&format!("  {}. {}\n", index + 1, printable(option)));
        }
        let _ = io::stderr().write_all(text.as_bytes());
    }

    fn answer(&self, prompt: &str) -> Option<String> {
        let _ = write!(io::stderr(), "{prompt}").and_then(|()| io::stderr().flush());
        let mut answer = String::new();
        let read = io::stdin().lock().read_line(&mut answer);
        read.is_ok().then(|| answer.trim().to_owned())
    }
}

/// The option that an answer names, by its number or its name.
fn chosen(answer: &str, options: &[String]) -> Option<usize> {
    let number = answer.parse::<usize>().ok();
    let by_number = number.and_then(|number| number.checked_sub(1));
    let by_name = || options.iter().position(|option| option == answer);
    by_number
        .filter(|index| *index < options.len())
        .or_else(by_name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_is_chosen_by_its_number_or_its_name() {
        let options = ["api", "web", "1"].map(str::to_owned);
        for (answer, expected) in [
            ("1", Some(0)),
            ("web", Some(1)),
            ("3", Some(2)),
            ("4", None),
            ("0", None),
            ("", None),
        ] {
            assert_eq!(chosen(answer, &options), expected, "{answer}");
        }
    }
}
