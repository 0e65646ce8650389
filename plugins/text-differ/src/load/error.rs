//! Why a text is not a document that can be compared.

use super::{MAX_BYTES, MAX_DEPTH, MAX_NODES};

/// Why a text is not a document that can be compared.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// Not YAML (of which JSON is a part).
    #[error("line {line}, column {column}: {message}")]
    Syntax {
        /// From 1.
        line: usize,
        /// From 1, in characters.
        column: usize,
        /// In the parser's words.
        message: String,
    },
    /// The outermost value is a list or a scalar.
    #[error("line {line}: the outermost value is not a mapping")]
    NotAMapping {
        /// From 1.
        line: usize,
    },
    /// Several documents in one text: comparing only the first would hide the rest.
    #[error("line {line}: a second document begins")]
    SecondDocument {
        /// From 1.
        line: usize,
    },
    /// The same key twice in one mapping.
    #[error("line {line}: key `{key}` is there twice")]
    DuplicateKey {
        /// From 1.
        line: usize,
        /// The key.
        key: String,
    },
    /// A list, a mapping or an alias as a key.
    #[error("line {line}: a key must be a plain text")]
    ComplexKey {
        /// From 1.
        line: usize,
    },
    /// `<<` with something else than mappings.
    #[error("line {line}: `<<` takes a mapping, an alias of one, or a list of these")]
    BadMerge {
        /// From 1.
        line: usize,
    },
    /// An alias inside the value it stands for.
    #[error("line {line}: alias `{name}` contains itself")]
    SelfReference {
        /// From 1.
        line: usize,
        /// The alias, without `*`.
        name: String,
    },
    /// Nested deeper than any template.
    #[error("line {line}: nested deeper than {MAX_DEPTH} levels")]
    TooDeep {
        /// From 1.
        line: usize,
    },
    /// So many values that comparing them would take too long; as a rule, aliases that multiply.
    #[error("line {line}: more than {MAX_NODES} values, counting what aliases stand for")]
    TooMany {
        /// From 1.
        line: usize,
    },
    /// The text is too large.
    #[error("{bytes} bytes, more than the {MAX_BYTES} that are compared")]
    TooLarge {
        /// Size of the text.
        bytes: usize,
    },
}
