//! Structural diff of documents: what the default differ of plimsoll does, as plain functions of texts.
//!
//! Texts are YAML or JSON; CloudFormation's short intrinsics (`!Sub`) and long ones (`Fn::Sub`) are the same thing.
//! The path of a comparison is `load` (text to tree of nodes), `compare` (two trees to a [`Tree`] of differences),
//! then [`render`](fn@render) for people and [`changes`](fn@changes) for programs. Nothing here reads the world.
//!
//! Comments are not carried over: they are no difference, and showing them beside one is noise.

/// Longest common subsequence of two lists.
mod align;
/// One list of changes out of a tree of differences.
mod changes;
/// Two trees of nodes to a tree of differences.
mod compare;
/// Observed documents against desired ones, by address.
mod documents;
/// Nodes back to YAML text.
mod emit;
/// CloudFormation's intrinsic functions in their two forms.
mod intrinsic;
/// Nodes to JSON text.
mod json;
/// Text to nodes.
mod load;
/// One value of a document.
mod node;
/// What a plain scalar means.
mod plain;
/// A tree of differences as text.
mod render;
/// Numbers for values: the same number, the same value.
mod shape;
/// Where two documents differ.
mod tree;

/// The differ as a component.
#[cfg(target_family = "wasm")]
#[expect(unsafe_code, reason = "the glue that wit-bindgen makes")]
mod component;

pub use changes::{Action, Change, changes};
pub use compare::{DiffError, Side, diff};
pub use documents::{Document, DocumentsDifference, Problem, diff_documents};
pub use json::to_json;
pub use load::LoadError;
pub use node::Node;
pub use render::{Paint, Style, render};
pub use shape::Rules;
pub use tree::{Difference, Place, Tree, What};
