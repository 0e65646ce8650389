//! CloudFormation: templates are evaluated, resources made one after the other, and undone when one fails.

mod api;
mod change_set;
mod delete;
mod deploy;
mod describe;
pub(crate) mod evaluate;
pub(crate) mod resource;
mod rollback;
pub(crate) mod stack;
mod stack_set;
mod template;

pub(crate) use api::answer;
pub(crate) use change_set::ChangeSet;
pub(crate) use deploy::{Target, create};
pub(crate) use stack::Stack;
pub(crate) use stack_set::StackInstance;
pub(crate) use template::Template;
