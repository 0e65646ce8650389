//! Patterns of `--hosts` and `--roles`: Ruby's `File.fnmatch` with `FNM_EXTGLOB`, nothing else.

/// Items that match, in the order of the patterns and then of the items, each once.
pub fn select<'a>(patterns: &[String], items: &[&'a str]) -> Vec<&'a str> {
    let mut found = Vec::new();
    for pattern in patterns {
        let choices = expand(pattern, &mut EXPANSIONS.clone());
        for item in items {
            if !found.contains(item) && choices.iter().any(|choice| matches(choice, item)) {
                found.push(*item);
            }
        }
    }
    found
}

/// A pattern is expanded to at most this many; what is beyond matches nothing.
const EXPANSIONS: usize = 1024;

/// `w{eb,orkers}` to `web` and `workers`; braces nest, a backslash protects.
fn expand(pattern: &str, left: &mut usize) -> Vec<String> {
    let Some(budget) = left.checked_sub(1) else {
        return Vec::new();
    };
    *left = budget;
    let mut depth = 0usize;
    let (mut open, mut commas) = (None, Vec::new());
    let mut escaped = false;
    for (at, c) in pattern.char_indices() {
        if std::mem::take(&mut escaped) {
            continue;
        }
        match c {
            '\\' => escaped = true,
            '{' => {
                depth += 1;
                open = open.or(Some(at));
            }
            ',' if depth == 1 => commas.push(at),
            '}' if depth > 0 => {
                depth -= 1;
                if let (0, Some(open)) = (depth, open) {
                    let mut choices = Vec::new();
                    let mut start = open + 1;
                    for end in commas.into_iter().chain([at]) {
                        let choice = format!(
                            "{}{}{}",
                            &pattern[..open],
                            &pattern[start..end],
                            &pattern[at + 1..]
                        );
                        choices.extend(expand(&choice, left));
                        start = end + 1;
                    }
                    return choices;
                }
            }
            _ => {}
        }
    }
    vec![pattern.to_owned()]
}

/// `*`, `?`, `[a-z]`, `[!a-z]`, `[^a-z]` and `\`; a leading dot is only matched by a dot.
fn matches(pattern: &str, text: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let text: Vec<char> = text.chars().collect();
    if text.first() == Some(&'.') && pattern.first().is_some_and(|c| "*?[".contains(*c)) {
        return false;
    }
    // Where to go on after the last star, and how much it has eaten: no recursion, no exponential time.
    let (mut p, mut t) = (0, 0);
    let mut star = None;
    loop {
        let step = match pattern.get(p) {
            None if t == text.len() => return true,
            Some('*') => {
                star = Some((p + 1, t));
                p += 1;
                continue;
            }
            None => None,
            Some(_) => text.get(t).and_then(|c| one(&pattern[p..], *c)),
        };
        match (step, star) {
            (Some(length), _) => (p, t) = (p + length, t + 1),
            (None, Some((after, eaten))) if eaten < text.len() => {
                star = Some((after, eaten + 1));
                (p, t) = (after, eaten + 1);
            }
            (None, _) => return false,
        }
    }
}

/// The length of the pattern's first element when it matches the character.
fn one(pattern: &[char], c: char) -> Option<usize> {
    match pattern {
        ['?', ..] => Some(1),
        ['\\', literal, ..] => (*literal == c).then_some(2),
        ['[', rest @ ..] => {
            let negated = matches!(rest.first(), Some('!' | '^'));
            let mut at = usize::from(negated);
            let mut inside = false;
            loop {
                let low = bound(rest, &mut at)?;
                let ranged =
                    rest.get(at) == Some(&'-') && rest.get(at + 1).is_some_and(|c| *c != ']');
                let high = if ranged {
                    at += 1;
                    bound(rest, &mut at)?
                } else {
                    low
                };
                inside |= (low..=high).contains(&c);
                if rest.get(at)? == &']' {
                    return (inside != negated).then_some(at + 2);
                }
            }
        }
        [literal, ..] => (*literal == c).then_some(1),
        [] => None,
    }
}

/// One end of a range in brackets.
fn bound(set: &[char], at: &mut usize) -> Option<char> {
    if set.get(*at) == Some(&'\\') {
        *at += 1;
    }
    *at += 1;
    set.get(*at - 1).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pick(patterns: &[&str]) -> Vec<&'static str> {
        let items = [
            "1.1.1.1", "1.1.1.10", "web", "workers", ".hidden", "a/b", "x[1]", "app1", "app2",
        ];
        select(
            &patterns.iter().map(|p| (*p).to_owned()).collect::<Vec<_>>(),
            &items,
        )
    }

    #[test]
    fn patterns_match_as_ruby_s_fnmatch() {
        for (pattern, found) in [
            ("1.1.1.*", vec!["1.1.1.1", "1.1.1.10"]),
            ("w{eb,orkers}", vec!["web", "workers"]),
            ("{w{eb,x},app1}", vec!["web", "app1"]),
            ("a*b", vec!["a/b"]),
            ("WEB", vec![]),
            (".h*", vec![".hidden"]),
            ("?hidden", vec![]),
            ("app[!1]", vec!["app2"]),
            ("app[0-9]", vec!["app1", "app2"]),
            ("x\\[1\\]", vec!["x[1]"]),
            ("x[1]", vec![]),
            ("app[1", vec![]),
            ("{web", vec![]),
        ] {
            assert_eq!(pick(&[pattern]), found, "{pattern}");
        }
        assert_eq!(
            pick(&["app?", "w*", "app1"]),
            ["app1", "app2", "web", "workers"]
        );
    }

    #[test]
    fn stars_take_no_exponential_time() {
        assert!(!matches(&"*a".repeat(200), &"a".repeat(199)));
    }
}
