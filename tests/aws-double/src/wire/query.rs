//! The query protocol: `Tags.member.1.Key=a&Tags.member.1.Value=b`.

use std::collections::BTreeMap;

/// The fields of a form, by name.
pub(crate) struct Fields(BTreeMap<String, String>);

impl Fields {
    /// Reads a form; a name given twice counts once, the last one.
    pub(crate) fn read(body: &[u8]) -> Self {
        Self(form_urlencoded::parse(body).into_owned().collect())
    }

    /// The field's text when it was given.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Whether the field says `true`.
    pub(crate) fn is_true(&self, name: &str) -> bool {
        self.get(name) == Some("true")
    }

    /// `NAME.member.1`, `NAME.member.2` …
    pub(crate) fn list(&self, name: &str) -> Vec<String> {
        (1..)
            .map_while(|number| self.get(&format!("{name}.member.{number}")))
            .map(str::to_owned)
            .collect()
    }

    /// `NAME.member.N.KEY` and `NAME.member.N.VALUE` as pairs.
    pub(crate) fn pairs(&self, name: &str, key: &str, value: &str) -> Vec<(String, String)> {
        (1..)
            .map_while(|number| {
                let field = |of: &str| self.get(&format!("{name}.member.{number}.{of}"));
                field(key).map(|key| (key.to_owned(), field(value).unwrap_or_default().to_owned()))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_pairs_are_read_in_order() {
        let fields = Fields::read(
            b"Action=A&C.member.1=x&C.member.2=y%20z&T.member.1.Key=k&T.member.1.Value=v&T.member.2.Key=only",
        );
        assert_eq!(fields.list("C"), ["x", "y z"]);
        assert_eq!(
            fields.pairs("T", "Key", "Value"),
            [
                ("k".to_owned(), "v".to_owned()),
                ("only".to_owned(), String::new())
            ]
        );
    }
}
