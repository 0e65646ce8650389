//! XML as the query protocol writes it.

/// An element's content.
pub(crate) enum Xml {
    /// Text.
    Text(String),
    /// Elements, in order.
    Fields(Vec<(&'static str, Xml)>),
    /// `<member>` elements.
    List(Vec<Xml>),
}

impl Xml {
    /// Text of anything printable.
    pub(crate) fn text(text: impl ToString) -> Self {
        Self::Text(text.to_string())
    }

    fn write(&self, out: &mut String) {
        match self {
            Self::Text(text) => escape(text, out),
            Self::Fields(fields) => {
                for (name, value) in fields {
                    value.element(name, out);
                }
            }
            Self::List(members) => {
                for member in members {
                    member.element("member", out);
                }
            }
        }
    }

    fn element(&self, name: &str, out: &mut String) {
        out.push_str(&format!("<{name}>"));
        self.write(out);
        out.push_str(&format!("</{name}>"));
    }

    /// The content alone.
    pub(crate) fn inner(&self) -> String {
        let mut out = String::new();
        self.write(&mut out);
        out
    }
}

/// Fields of a structure, those without a value left out.
#[derive(Default)]
pub(crate) struct Fields(Vec<(&'static str, Xml)>);

impl Fields {
    /// Adds a field of text.
    pub(crate) fn with(mut self, name: &'static str, text: impl ToString) -> Self {
        self.0.push((name, Xml::text(text)));
        self
    }

    /// Adds a field of text when there is one.
    pub(crate) fn maybe(self, name: &'static str, text: Option<impl ToString>) -> Self {
        match text {
            Some(text) => self.with(name, text),
            None => self,
        }
    }

    /// Adds a list.
    pub(crate) fn list(mut self, name: &'static str, members: Vec<Xml>) -> Self {
        self.0.push((name, Xml::List(members)));
        self
    }

    /// Adds a structure.
    pub(crate) fn nested(mut self, name: &'static str, fields: Fields) -> Self {
        self.0.push((name, fields.done()));
        self
    }

    /// The structure.
    pub(crate) fn done(self) -> Xml {
        Xml::Fields(self.0)
    }
}

fn escape(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\r' => out.push_str("&#13;"),
            c => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_members_and_text_is_escaped() {
        let xml = Fields::default()
            .with("Name", "a<b & \"c\"")
            .list("Tags", vec![Fields::default().with("Key", 1).done()])
            .maybe("Reason", None::<String>);
        assert_eq!(
            xml.done().inner(),
            "<Name>a&lt;b &amp; &quot;c&quot;</Name><Tags><member><Key>1</Key></member></Tags>"
        );
    }
}
