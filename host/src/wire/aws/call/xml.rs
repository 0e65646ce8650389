//! Answers of AWS's older services, as a tree.

use xmlparser::{ElementEnd, Token, Tokenizer};

/// An element without its attributes, which these answers don't use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Element {
    /// Without its namespace.
    pub name: String,
    /// What is directly in it.
    pub text: String,
    /// Elements in it.
    pub children: Vec<Element>,
}

impl Element {
    /// The text of a child; empty when there is none.
    pub fn at(&self, name: &str) -> &str {
        self.child(name).map_or("", |child| child.text.as_str())
    }

    /// The first child of a name.
    pub fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    /// The first element of a name at any depth.
    pub fn find(&self, name: &str) -> Option<&Self> {
        let below = || self.children.iter().find_map(|child| child.find(name));
        self.child(name).or_else(below)
    }

    /// The items of the first list of a name at any depth.
    pub fn list(&self, name: &str) -> &[Self] {
        self.find(name).map_or(&[], |list| list.children.as_slice())
    }
}

/// The root of an answer.
pub(crate) fn parse(text: &str) -> Result<Element, String> {
    let mut open = vec![Element::default()];
    for token in Tokenizer::from(text) {
        match token.map_err(|error| error.to_string())? {
            Token::ElementStart { local, .. } => open.push(Element {
                name: local.as_str().to_owned(),
                ..Element::default()
            }),
            Token::ElementEnd {
                end: ElementEnd::Close(..) | ElementEnd::Empty,
                ..
            } => close(&mut open),
            Token::Text { text } => append(&mut open, &unescaped(text.as_str())),
            Token::Cdata { text, .. } => append(&mut open, text.as_str()),
            _ => {}
        }
    }
    let mut document = open.swap_remove(0);
    match document.children.pop() {
        Some(root) if open.is_empty() => Ok(root),
        Some(_) | None => Err("it is not one XML document".to_owned()),
    }
}

fn close(open: &mut Vec<Element>) {
    if open.len() < 2 {
        return;
    }
    if let (Some(mut done), Some(parent)) = (open.pop(), open.last_mut()) {
        if !done.children.is_empty() {
            done.text.clear();
        }
        parent.children.push(done);
    }
}

fn append(open: &mut [Element], text: &str) {
    if let Some(element) = open.last_mut() {
        element.text.push_str(text);
    }
}

fn unescaped(text: &str) -> String {
    let pairs = [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&apos;", "'"),
        ("&#39;", "'"),
        ("&amp;", "&"),
    ];
    pairs
        .iter()
        .fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_as_trees() {
        let root = parse(
            "<?xml version=\"1.0\"?><R xmlns=\"http://x\"><subnetSet><item><subnetId>subnet-1</subnetId><tagSet/></item>\
             <item><subnetId>a &amp; b</subnetId></item></subnetSet></R>",
        )
        .expect("is XML");
        let ids: Vec<&str> = root
            .list("subnetSet")
            .iter()
            .map(|item| item.at("subnetId"))
            .collect();
        assert_eq!((root.name.as_str(), ids), ("R", vec!["subnet-1", "a & b"]));
        assert!(root.list("missing").is_empty());
        assert!(parse("<a><b></a>").is_err() || parse("").is_err());
        assert!(parse("not xml").is_err());
    }
}
