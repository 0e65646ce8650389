//! What looks like a secret in plain text: by its name, or a password inside a URL.

/// Single words that name secrets.
const WORDS: [&str; 13] = [
    "PASSWORD",
    "PASSWORDS",
    "PASSWD",
    "PASSPHRASE",
    "PWD",
    "SECRET",
    "SECRETS",
    "TOKEN",
    "TOKENS",
    "CREDENTIAL",
    "CREDENTIALS",
    "APIKEY",
    "PRIVATEKEY",
];

/// Words that, followed by `KEY`, name secrets.
const KEYS: [&str; 7] = [
    "API",
    "PRIVATE",
    "ACCESS",
    "ENCRYPTION",
    "SIGNING",
    "MASTER",
    "AUTH",
];

/// Last words that make a name one of something about a secret: `TOKEN_TTL`, `SECRET_NAME`.
const ABOUT: [&str; 34] = [
    "AGE",
    "ALGORITHM",
    "ARN",
    "AUDIENCE",
    "BACKEND",
    "COUNT",
    "DIR",
    "DURATION",
    "ENABLED",
    "ENDPOINT",
    "EXPIRATION",
    "EXPIRES",
    "EXPIRY",
    "FIELD",
    "FILE",
    "HEADER",
    "HOST",
    "ID",
    "ISSUER",
    "LENGTH",
    "LIFETIME",
    "MAX",
    "MIN",
    "NAME",
    "PATH",
    "POLICY",
    "PORT",
    "PREFIX",
    "PROVIDER",
    "REGION",
    "STORE",
    "TIMEOUT",
    "TTL",
    "TYPE",
];

/// Why a variable looks like a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suspicion {
    /// Its name says so.
    Name,
    /// It is a URL with a password.
    Url,
}

/// Judges a variable with a plain-text value.
pub fn suspicion(name: &str, value: &str) -> Option<Suspicion> {
    match url(value) {
        Some(Url::WithPassword) => Some(Suspicion::Url),
        Some(Url::Plain) => None,
        None => (names_secret(name) && may_be_secret(value)).then_some(Suspicion::Name),
    }
}

fn names_secret(name: &str) -> bool {
    let words = words(name);
    let about = words
        .last()
        .is_some_and(|last| ABOUT.contains(&last.as_str()));
    let word = words.iter().any(|word| WORDS.contains(&word.as_str()));
    let key = words
        .windows(2)
        .any(|pair| KEYS.contains(&pair[0].as_str()) && pair[1] == "KEY");
    // The working directory of a shell.
    let directory = words == ["PWD"] || words == ["OLD", "PWD"] || words == ["OLDPWD"];
    (word || key) && !about && !directory
}

/// `apiKey`, `API-KEY` and `API_KEY` are `API`, `KEY`.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut lower = false;
    for character in name.chars() {
        let starts = character.is_uppercase() && lower;
        if !character.is_alphanumeric() || starts {
            words.push(String::new());
        }
        if character.is_alphanumeric() {
            words
                .last_mut()
                .expect("it begins with one word")
                .extend(character.to_uppercase());
        }
        lower = character.is_lowercase() || character.is_ascii_digit();
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Empty text, booleans, numbers, paths, ARNs and references to other variables are no secrets.
fn may_be_secret(value: &str) -> bool {
    let value = value.trim();
    let boolean =
        ["true", "false", "yes", "no", "on", "off"].contains(&value.to_lowercase().as_str());
    let path = ["/", "./", "../", "~/"]
        .iter()
        .any(|start| value.starts_with(start))
        && !value.contains(['+', '=']);
    let reference = value
        .strip_prefix("${")
        .is_some_and(|rest| rest.find('}') == Some(rest.len() - 1));
    !(value.is_empty()
        || boolean
        || value.parse::<f64>().is_ok()
        || path
        || value.starts_with("arn:")
        || reference)
}

enum Url {
    Plain,
    WithPassword,
}

fn url(value: &str) -> Option<Url> {
    let (scheme, rest) = value.trim().split_once("://")?;
    let is_scheme = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
    if scheme.is_empty() || !scheme.chars().all(is_scheme) {
        return None;
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let password = authority
        .rsplit_once('@')
        .and_then(|(user, _)| user.split_once(':'))
        .map(|(_, password)| password);
    match password {
        Some(password) if may_be_password(password) => Some(Url::WithPassword),
        Some(_) | None => Some(Url::Plain),
    }
}

/// In a URL a number is a password as good as any; `${NAME}` is filled in elsewhere.
fn may_be_password(password: &str) -> bool {
    let reference = password.starts_with("${") && password.ends_with('}');
    !(password.is_empty() || reference)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_word_by_word() {
        for (name, secret) in [
            ("DB_PASSWORD", true),
            ("dbPassword", true),
            ("SECRET_KEY_BASE", true),
            ("GITHUB_TOKEN", true),
            ("STRIPE_API_KEY", true),
            ("stripeApiKey", true),
            ("RAILS_MASTER_KEY", true),
            ("AWS_SECRET_ACCESS_KEY", true),
            ("SSH_PRIVATE_KEY", true),
            ("GOOGLE_CREDENTIALS", true),
            ("REDIS_PWD", true),
            ("AWS_ACCESS_KEY_ID", false),
            ("TOKENIZER", false),
            ("SECRETARY_NAME", false),
            ("TOKEN_TTL", false),
            ("PASSWORD_MIN_LENGTH", false),
            ("DB_SECRET_ARN", false),
            ("KEYBOARD", false),
            ("CACHE_KEY", false),
            ("PWD", false),
            ("LOG_LEVEL", false),
        ] {
            assert_eq!(suspicion(name, "hunter2").is_some(), secret, "{name}");
        }
    }

    #[test]
    fn only_values_that_can_be_secrets_count() {
        for (value, expected) in [
            ("hunter2", Some(Suspicion::Name)),
            ("aGVsbG8+d29ybGQ=", Some(Suspicion::Name)),
            ("/9j/4AAQ+SkZJRg==", Some(Suspicion::Name)),
            ("", None),
            ("true", None),
            ("Off", None),
            ("3600", None),
            ("0.5", None),
            ("/run/secrets/db", None),
            ("./secret.txt", None),
            ("arn:aws:secretsmanager:eu-west-1:1:secret:db", None),
            ("${DB_PASSWORD}", None),
            ("https://vault.example.com/token", None),
            ("https://user@vault.example.com/token", None),
            (
                "https://user:hunter2@vault.example.com",
                Some(Suspicion::Url),
            ),
        ] {
            assert_eq!(suspicion("DB_PASSWORD", value), expected, "{value}");
        }
    }

    #[test]
    fn a_password_in_a_url_counts_whatever_the_name() {
        for (value, expected) in [
            ("postgres://app:hunter2@db:5432/app", Some(Suspicion::Url)),
            ("redis://:1234@cache", Some(Suspicion::Url)),
            ("postgres://app@db/app", None),
            ("postgres://app:${PASSWORD}@db/app", None),
            ("postgres://app:@db/app", None),
            ("http://example.com/a:b@c", None),
            ("http://example.com:80/?q=a:b@c", None),
            ("not a url: x://", None),
        ] {
            assert_eq!(suspicion("DATABASE_URL", value), expected, "{value}");
        }
    }
}
