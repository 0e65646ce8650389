//! Refusals, traps and limits in words, with whose fault it is. The only place that reads `wasmtime::Error`.

use wasmtime::Trap;

use super::inspect::Role;

/// Why a component was not run, or did not answer.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The engine can't run on this machine.
    #[error("failed to start the component engine: {0}")]
    Engine(String),
    /// Not a component at all.
    #[error("plugin `{plugin}` is not a WebAssembly component: {why}")]
    NotAComponent {
        /// Name of the plugin.
        plugin: String,
        /// What was found instead.
        why: String,
    },
    /// It would take too long, or too much memory, to compile.
    #[error("plugin `{plugin}` is refused before compilation: {why}")]
    Oversized {
        /// Name of the plugin.
        plugin: String,
        /// Which bound it breaks.
        why: String,
    },
    /// Compilation failed or ran into its limits.
    #[error("failed to compile plugin `{plugin}`: {why}")]
    Compile {
        /// Name of the plugin.
        plugin: String,
        /// The compiler's words.
        why: String,
    },
    /// The cache of compiled code can't be used.
    #[error("failed to use the cache of compiled plugins at {path}: {why}")]
    Cache {
        /// Directory or file.
        path: String,
        /// What is wrong with it.
        why: String,
    },
    /// It exports nothing that a role needs, or not the one it was named for.
    #[error("plugin `{plugin}` is no {role}: it exports {exports}")]
    WrongRole {
        /// Name of the plugin.
        plugin: String,
        /// The role wanted.
        role: Role,
        /// What it exports.
        exports: String,
    },
    /// It imports a power that its role never has, or that the user did not grant.
    #[error("plugin `{plugin}` is refused: {why}")]
    Import {
        /// Name of the plugin.
        plugin: String,
        /// Which import, and why it is not linked.
        why: String,
        /// The cure.
        cure: String,
    },
    /// An interface it imports has another shape than this host's.
    #[error("plugin `{plugin}` was built against another version of plimsoll:deploy: {why}")]
    Mismatch {
        /// Name of the plugin.
        plugin: String,
        /// Which interface, in wasmtime's words.
        why: String,
    },
    /// It ran too long.
    #[error("plugin `{plugin}` was stopped: `{function}` did not return within {seconds} s")]
    Deadline {
        /// Name of the plugin.
        plugin: String,
        /// The function called.
        function: String,
        /// The bound.
        seconds: f32,
        /// Last lines it printed.
        tail: String,
    },
    /// It used more than a limit allows.
    #[error("plugin `{plugin}` was stopped in `{function}`: {limit}")]
    Limit {
        /// Name of the plugin.
        plugin: String,
        /// The function called.
        function: String,
        /// Which limit.
        limit: String,
        /// Last lines it printed.
        tail: String,
    },
    /// It crashed.
    #[error("plugin `{plugin}` crashed in `{function}`: {why}")]
    Trap {
        /// Name of the plugin.
        plugin: String,
        /// The function called.
        function: String,
        /// What the trap says.
        why: String,
        /// Last lines it printed: a Rust panic message is here.
        tail: String,
    },
    /// The user interrupted the run.
    #[error("interrupted in `{function}` of plugin `{plugin}`")]
    Interrupted {
        /// Name of the plugin.
        plugin: String,
        /// The function called.
        function: String,
    },
}

impl SandboxError {
    /// The next step, and whose fault it is.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Engine(_) => None,
            Self::NotAComponent { .. } => Some("build it with `cargo build --target wasm32-wasip2`; compiled code (.cwasm) is never accepted".to_owned()),
            Self::Oversized { .. } => Some("the plugin's author can build it with optimisation (`opt-level = \"s\"`, `lto = true`)".to_owned()),
            Self::Compile { .. } => Some("the fault is the plugin's: report it to its author".to_owned()),
            Self::Cache { path, .. } => Some(format!("remove {path}, or set XDG_CACHE_HOME to a directory that only you can write")),
            Self::WrongRole { .. } => Some("correct `role:` in plimsoll.yml".to_owned()),
            Self::Import { cure, .. } => Some(cure.clone()),
            Self::Mismatch { .. } => Some("rebuild the plugin against this version's wit/, or use the plimsoll version it was built for".to_owned()),
            Self::Deadline { plugin, tail, .. } | Self::Limit { plugin, tail, .. } | Self::Trap { plugin, tail, .. } => {
                let blame = format!("the fault is the plugin's, nothing of yours: report it to the author of `{plugin}`");
                Some(if tail.is_empty() { blame } else { format!("{blame}; its last words were:\n{}", indent(tail)) })
            }
            Self::Interrupted { .. } => None,
        }
    }
}

fn indent(text: &str) -> String {
    text.lines()
        .map(|line| format!("    {line}"))
        .collect::<Vec<_>>()
        .join("\n")
}

/// The whole chain of an error on one line.
pub(crate) fn words(error: &wasmtime::Error) -> String {
    let mut chain: Vec<String> = error.chain().map(ToString::to_string).collect();
    chain.dedup();
    chain.join(": ").replace('\n', " ")
}

/// What stopped a call.
pub(crate) enum Stopped {
    /// Past its deadline.
    Deadline,
    /// The user pressed Ctrl-C.
    Interrupted,
    /// A limit, in words.
    Limit(String),
    /// A crash, in words.
    Trap(String),
}

/// Reads what a failed call says. `interrupted` tells why an epoch interrupt happened.
pub(crate) fn stopped(error: &wasmtime::Error, interrupted: bool) -> Stopped {
    let root = error.root_cause().to_string();
    if let Some(limit) = limit_words(&root) {
        return Stopped::Limit(limit);
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::Interrupt) if interrupted => Stopped::Interrupted,
        Some(Trap::Interrupt) => Stopped::Deadline,
        Some(Trap::UnreachableCodeReached) => Stopped::Trap("it panicked".to_owned()),
        Some(Trap::MemoryOutOfBounds | Trap::StackOverflow) => {
            Stopped::Limit("its stack is at most 512 KiB (endless recursion?)".to_owned())
        }
        Some(trap) => Stopped::Trap(trap.to_string()),
        None => Stopped::Trap(root),
    }
}

fn limit_words(root: &str) -> Option<String> {
    if root.contains("too much data is being copied")
        || root.contains("fuel") && root.contains("exhausted")
    {
        return Some(format!(
            "one call may hand over at most {} MiB",
            super::store::COPY_BYTES >> 20
        ));
    }
    if root.contains("no free keys") || root.contains("handle limit exceeded") {
        return Some("it holds too many handles".to_owned());
    }
    if root.contains("forcing trap when growing memory")
        || root.contains("forcing a memory growth failure")
    {
        return Some(format!(
            "its memory is at most {} MiB",
            super::store::MEMORY_BYTES >> 20
        ));
    }
    None
}
