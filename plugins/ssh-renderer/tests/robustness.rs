//! Whatever the text, rendering answers: it does not panic, does not hang, and points only at places that exist.

use ssh_renderer::diagnostic::{Diagnostic, Mark};
use ssh_renderer::render::File;
use ssh_renderer::{Input, needs, render};

const RICH: &str = include_str!("fixtures/rich.yml");
const STAGING: &str = include_str!("fixtures/rich.staging.yml");

/// Fragments that mean something to YAML, to Kamal or to a shell.
const FRAGMENTS: [&str; 40] = [
    "~",
    "[]",
    "{}",
    "*",
    "&a ",
    "*a",
    "<<: *a\n",
    "!",
    "!!str ",
    "|",
    ">-\n",
    "'",
    "\"",
    "\\",
    ":",
    ": ",
    "- ",
    "#",
    "\t",
    "\n",
    "\u{feff}",
    "é",
    "\u{0}",
    "${X}",
    "$(x)",
    "`",
    "{",
    "}",
    "[",
    "]",
    ",",
    "22:22",
    "1e999",
    "0x",
    "-",
    "%",
    "---\n",
    "...\n",
    "? ",
    "99999999999999999999999999999999999999999",
];

/// A small generator of numbers, so that a failure can be repeated.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(limit.max(1)).expect("small"))
            .expect("below the limit")
    }
}

fn mutate(text: &str, numbers: &mut Numbers) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    for _ in 0..=numbers.below(4) {
        let at = numbers.below(chars.len() + 1);
        match numbers.below(5) {
            0 => drop(chars.splice(at..at, FRAGMENTS[numbers.below(FRAGMENTS.len())].chars())),
            1 => drop(chars.drain(at..(at + numbers.below(8)).min(chars.len()))),
            2 => {
                let end = (at + numbers.below(40)).min(chars.len());
                let piece: Vec<char> = chars[at..end].to_vec();
                let to = numbers.below(chars.len() + 1);
                drop(chars.splice(to..to, piece));
            }
            3 if at < chars.len() => {
                chars[at] = FRAGMENTS[numbers.below(FRAGMENTS.len())]
                    .chars()
                    .next()
                    .expect("not empty")
            }
            _ => {
                // A value becomes something else.
                let colon = chars[at..]
                    .iter()
                    .position(|c| *c == ':')
                    .map_or(chars.len(), |i| at + i + 1);
                let end = chars[colon..]
                    .iter()
                    .position(|c| *c == '\n')
                    .map_or(chars.len(), |i| colon + i);
                let fragment = FRAGMENTS[numbers.below(FRAGMENTS.len())];
                drop(chars.splice(colon..end, format!(" {fragment}").chars()));
            }
        }
    }
    chars.into_iter().collect()
}

fn input(base: String, overlay: Option<String>) -> Input {
    let mut manifest = vec![File {
        path: "config/deploy.yml".into(),
        text: base,
    }];
    manifest.extend(overlay.map(|text| File {
        path: "config/deploy.staging.yml".into(),
        text,
    }));
    Input {
        environment: if manifest.len() > 1 {
            "staging".into()
        } else {
            String::new()
        },
        version: "3f2a".into(),
        manifest,
        ..Input::default()
    }
}

fn check_place(input: &Input, mark: Mark) {
    let file = input.manifest.get(mark.file).expect("the file exists");
    let lines = file.text.split('\n').count() + 1;
    assert!(
        (1..=lines).contains(&(mark.line as usize)),
        "{mark:?} in {lines} lines"
    );
    assert!(mark.column >= 1, "{mark:?}");
}

fn check(input: &Input) {
    let needed = needs(input);
    let diagnostics: Vec<Diagnostic> = match render(input) {
        Ok(output) => {
            assert!(needed.is_ok(), "what renders has needs");
            output
                .sources
                .iter()
                .for_each(|source| check_place(input, source.at));
            output.diagnostics
        }
        Err(diagnostics) => {
            assert!(!diagnostics.is_empty(), "a refusal says why");
            diagnostics
        }
    };
    diagnostics
        .iter()
        .filter_map(|diagnostic| diagnostic.at)
        .for_each(|mark| check_place(input, mark));
}

#[test]
fn mutated_configurations_never_panic() {
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    for _ in 0..500 {
        check(&input(mutate(RICH, &mut numbers), None));
        check(&input(RICH.to_owned(), Some(mutate(STAGING, &mut numbers))));
    }
}

#[test]
fn deep_and_exponential_documents_are_refused() {
    let exponential: String = (1..30).fold("a0: &a0 [x, x]\n".to_owned(), |text, level| {
        let below = level - 1;
        format!("{text}a{level}: &a{level} [*a{below}, *a{below}]\n")
    });
    for text in [
        "[".repeat(100_000),
        "{a: ".repeat(100_000),
        "- ".repeat(100_000),
        exponential,
        "a: &a [*a]\n".into(),
    ] {
        let found = render(&input(text, None)).expect_err("refused");
        assert_eq!(found[0].code, "invalid-yaml");
    }
}
