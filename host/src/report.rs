//! What happens, as data, and the reporters that show it. Nothing else writes to a terminal.
//!
//! * [`Event`]: what happened.
//! * [`Reporter`]: shows events as lines for people or as JSON, and asks for consent.

#![expect(
    clippy::disallowed_methods,
    reason = "this is the module that writes to the terminal"
)]

mod json;
mod log;
mod question;
mod terminal;
mod tree;

pub use json::changes;
pub use tree::Shown;

use std::collections::BTreeMap;
use std::io::{self, BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use self::log::Log;
use crate::plan::{Plan, printable};
use crate::wit::policy::exports::plimsoll::deploy::policy::Violation;
use crate::wit::progress::Phase;
use crate::wit::types::{Diagnostic, Severity};

/// Version of the JSON output: raised when a field changes its meaning or goes away.
pub const JSON_SCHEMA: u32 = 1;

/// A finding with its text as it is shown: place, caret, cure.
#[derive(Clone, Debug)]
pub struct Finding {
    /// As the component said it.
    pub diagnostic: Diagnostic,
    /// With the source line and a caret.
    pub rendered: String,
}

/// A policy's violation and the plugin that found it.
#[derive(Clone, Debug)]
pub struct Judged {
    /// Name of the policy plugin.
    pub policy: String,
    /// What it says.
    pub violation: Violation,
    /// Manifest file, line and column, when known.
    pub at: Option<String>,
}

/// Something that happened.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "each variant's line says what its fields are")]
pub enum Event<'a> {
    /// A stage begins: `observe`, `build`, …; the text is for people.
    Stage { name: &'static str, text: String },
    /// A component or the host has something to say.
    Note { severity: Severity, message: String },
    /// A finding about the user's files.
    Finding(&'a Finding),
    /// A policy's violation.
    Violation(&'a Judged),
    /// The plan, before approval.
    Plan {
        plan: &'a Plan,
        violations: &'a [Judged],
    },
    /// The difference alone, before approval: what `--diff` shows.
    Difference(&'a str),
    /// A line of a long operation: build or push output.
    Line { subject: &'a str, line: &'a str },
    /// A driver's progress.
    Progress {
        step: &'a str,
        host: Option<&'a str>,
        phase: Phase,
        message: &'a str,
    },
    /// How everything stands that is under way, as a tree. The run's journal tells several at the same time apart.
    Tree { run: &'a Path, items: &'a [Shown] },
    /// Details of a failure: an unhealthy container's last words.
    Detail { title: &'a str, lines: &'a [String] },
    /// What was asked to be shown.
    Report {
        host: Option<&'a str>,
        title: &'a str,
        lines: &'a [String],
    },
    /// How it ended; the last line.
    Verdict(&'a Verdict),
}

/// How a run ended.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// Whether all is as it was asked for.
    pub ok: bool,
    /// For people: `deployed 3f2a to 2 hosts`.
    pub text: String,
    /// What runs now.
    pub version: String,
    /// Hosts concerned.
    pub hosts: Vec<String>,
    /// How long it took.
    pub took: Duration,
    /// Command that undoes it.
    pub undo: Option<String>,
    /// What else the driver says came of it, by name; `status` is `unchanged` when there was nothing to do.
    pub outputs: Vec<(String, String)>,
}

/// How much is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verbosity {
    /// Errors and the verdict.
    Quiet,
    /// What a person wants to follow.
    Normal,
    /// Everything.
    Verbose,
}

/// The form of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Lines for people.
    Text,
    /// One JSON document per line on standard output.
    Json,
}

/// Shows events.
pub struct Reporter {
    format: Format,
    verbosity: Verbosity,
    /// Standard error is a terminal: progress is shown.
    live: bool,
    /// Standard output is a terminal that wants colours.
    colour: bool,
    /// Nobody follows along: of what is under way only failures and the end are told.
    unattended: bool,
    started: Instant,
    screen: Mutex<Screen>,
    log: Mutex<Option<Log>>,
}

/// What stands at the bottom of the terminal.
#[derive(Default)]
struct Screen {
    /// The last tree of each run.
    trees: BTreeMap<PathBuf, Vec<Shown>>,
    /// Lines of them that are drawn, and drawn anew when one changes.
    drawn: usize,
}

impl Reporter {
    /// A reporter for this process; `colour` when the user does not mind.
    pub fn new(format: Format, verbosity: Verbosity, colour: bool) -> Self {
        Self {
            format,
            verbosity,
            live: io::stderr().is_terminal(),
            colour: colour && io::stdout().is_terminal(),
            unattended: false,
            started: Instant::now(),
            screen: Mutex::default(),
            log: Mutex::default(),
        }
    }

    /// From here on everything is also written into a new file of this folder, until [`Reporter::end_log`].
    ///
    /// # Errors
    /// When the file can't be made.
    pub fn begin_log(
        &self,
        folder: &Path,
        destination: Option<&str>,
        command: &str,
    ) -> io::Result<()> {
        let log = Log::create(folder, destination, command, SystemTime::now())?;
        *self.log() = Some(log);
        Ok(())
    }

    /// Ends the file with how it went, and says where it is.
    pub fn end_log(&self, failure: Option<&str>) {
        let ended = self.log().take();
        if let Some(log) = ended {
            let path = log.end(failure, self.elapsed());
            let _ = writeln!(io::stderr(), "Logs written to {}", path.display());
        }
    }

    fn log(&self) -> MutexGuard<'_, Option<Log>> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says less of what is under way when nobody follows along, as with `CI=true`.
    #[must_use]
    pub fn unattended(mut self, unattended: bool) -> Self {
        self.unattended = unattended;
        self
    }

    /// How much is shown.
    pub fn verbosity(&self) -> Verbosity {
        self.verbosity
    }

    /// Shows one event.
    pub fn emit(&self, event: &Event<'_>) {
        let mut screen = self.screen.lock().unwrap_or_else(PoisonError::into_inner);
        if let Event::Tree { run, items } = event {
            return self.grow(&mut screen, run, items);
        }
        if let Some(log) = self.log().as_mut() {
            let (out, err) = terminal::lines(event, Verbosity::Verbose, true, false);
            log.write(&out.into_iter().chain(err).collect::<String>());
        }
        let (out, err) = match self.format {
            Format::Json => (json::line(event).map(|json| format!("{json}\n")), None),
            Format::Text => terminal::lines(event, self.verbosity, self.live, self.colour),
        };
        if out.is_none() && err.is_none() {
            return;
        }
        let ends = matches!(event, Event::Verdict(_));
        let below = self.make_room(&mut screen, ends);
        // A closed pipe is the reader's choice, not an error of the deploy.
        if let Some(text) = out {
            let _ = io::stdout()
                .write_all(text.as_bytes())
                .and_then(|()| io::stdout().flush());
        }
        if let Some(text) = err {
            let _ = io::stderr().write_all(text.as_bytes());
        }
        if below {
            self.draw(&mut screen);
        }
    }

    /// Shows how a tree has grown.
    fn grow(&self, screen: &mut Screen, run: &Path, items: &[Shown]) {
        let before = screen.trees.insert(run.to_owned(), items.to_vec());
        let before = before.unwrap_or_default();
        if self.format == Format::Json {
            let changed = tree::json_changes(&before, items);
            if !changed.is_empty() {
                let line = json::tree(run, &changed);
                let _ = writeln!(io::stdout(), "{line}").and_then(|()| io::stdout().flush());
            }
        } else if self.live && !self.unattended && self.verbosity > Verbosity::Quiet {
            self.draw(screen);
        } else {
            let detail = match self.unattended || self.verbosity == Verbosity::Quiet {
                true => tree::Detail::Outcome,
                false => tree::Detail::Everything,
            };
            for line in tree::changes(&before, items, detail) {
                let _ = writeln!(io::stderr(), "{line}");
            }
        }
    }

    /// Draws the trees over those before.
    fn draw(&self, screen: &mut Screen) {
        let (width, height) = terminal_size::terminal_size_of(io::stderr())
            .map_or((80, 24), |(width, height)| {
                (width.0.into(), height.0.into())
            });
        let room = height / screen.trees.len().max(1);
        let trees = screen.trees.values();
        let mut lines: Vec<String> = trees
            .flat_map(|tree| tree::draw(tree, width, room, self.colour))
            .collect();
        // What does not fit could not be taken away again.
        lines.truncate(height.saturating_sub(1).max(1));
        let mut text = erase(screen.drawn);
        screen.drawn = lines.len();
        for line in lines {
            text.push_str(&line);
            text.push('\n');
        }
        let _ = io::stderr().write_all(text.as_bytes());
    }

    /// Takes the tree away for something else to be printed, or lets it stand for good. Whether it has to be drawn again
    /// below.
    fn make_room(&self, screen: &mut Screen, for_good: bool) -> bool {
        if screen.drawn == 0 {
            return false;
        }
        if !for_good {
            let _ = io::stderr().write_all(erase(screen.drawn).as_bytes());
        }
        screen.drawn = 0;
        !for_good
    }

    /// A difference with its signs coloured, where colours are wanted.
    pub fn painted(&self, difference: &str) -> String {
        terminal::painted(&printable(difference), self.colour)
    }

    /// Prints data that a command was asked for.
    pub fn data(&self, text: &str) {
        let mut screen = self.screen.lock().unwrap_or_else(PoisonError::into_inner);
        self.make_room(&mut screen, true);
        let _ = io::stdout()
            .write_all(text.as_bytes())
            .and_then(|()| io::stdout().flush());
    }

    /// Prints a JSON document that a command was asked for: on one line when the output is JSON.
    pub fn document(&self, document: &serde_json::Value) {
        let text = match self.format {
            Format::Json => document.to_string(),
            Format::Text => serde_json::to_string_pretty(document).unwrap_or_default(),
        };
        self.data(&format!("{text}\n"));
    }

    /// Prints an error of the whole run.
    pub fn error(&self, message: &str, hints: &[String]) {
        let mut screen = self.screen.lock().unwrap_or_else(PoisonError::into_inner);
        self.make_room(&mut screen, true);
        if self.format == Format::Json {
            let _ = writeln!(io::stdout(), "{}", json::error(message, hints));
        }
        let mut text = format!("error: {}\n", printable(message));
        for hint in hints {
            text.push_str(&format!("hint: {}\n", printable(hint)));
        }
        let _ = io::stderr().write_all(text.as_bytes());
    }

    /// Whether somebody is there to answer.
    pub fn can_ask(&self) -> bool {
        self.format == Format::Text && io::stdin().is_terminal() && self.live
    }

    /// Asks a question, which says so itself (`[y/N]`), that only `y` or `yes` affirms.
    pub fn ask(&self, question: &str) -> bool {
        self.make_room(
            &mut self.screen.lock().unwrap_or_else(PoisonError::into_inner),
            true,
        );
        let _ = write!(io::stderr(), "{question} ").and_then(|()| io::stderr().flush());
        let mut answer = String::new();
        let read = io::stdin().lock().read_line(&mut answer);
        read.is_ok() && matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
    }

    /// Asks which of several answers, by a letter of each; anything else is the first of them.
    pub fn choose(&self, question: &str, letters: &[char]) -> char {
        self.make_room(
            &mut self.screen.lock().unwrap_or_else(PoisonError::into_inner),
            true,
        );
        let _ = write!(io::stderr(), "{question} ").and_then(|()| io::stderr().flush());
        let mut answer = String::new();
        let _ = io::stdin().lock().read_line(&mut answer);
        let letter = answer.trim().chars().next().map(|c| c.to_ascii_lowercase());
        letter
            .filter(|letter| letters.contains(letter))
            .or(letters.first().copied())
            .unwrap_or_default()
    }

    /// Says something beside the output.
    pub fn aside(&self, text: &str) {
        if self.verbosity > Verbosity::Quiet {
            let mut screen = self.screen.lock().unwrap_or_else(PoisonError::into_inner);
            self.make_room(&mut screen, true);
            let _ = io::stderr().write_all(format!("{}\n", printable(text)).as_bytes());
        }
    }

    /// How a deployment ended, in words of its own; as JSON it is the verdict. What was under way stands for good.
    pub fn outcome(&self, verdict: &Verdict, text: &str) {
        {
            let mut screen = self.screen.lock().unwrap_or_else(PoisonError::into_inner);
            self.make_room(&mut screen, true);
            screen.trees.clear();
        }
        match self.format {
            Format::Json => self.emit(&Event::Verdict(&Verdict {
                text: text.to_owned(),
                ..verdict.clone()
            })),
            Format::Text => self.data(&format!("{}\n", printable(text))),
        }
    }

    /// Time since the run began.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }
}

/// Takes lines off the bottom of a terminal.
fn erase(lines: usize) -> String {
    match lines {
        0 => String::new(),
        lines => format!("\u{1b}[{lines}A\u{1b}[J"),
    }
}
