//! What is the same for every service: how a request says what it wants, and how an answer or a refusal is written.

pub(crate) mod http;
pub(crate) mod query;
pub(crate) mod refusal;
pub(crate) mod xml;

pub(crate) use http::Call;
pub(crate) use refusal::Refusal;
