//! Compiled code from a private cache. Nothing compiles in the deploy path once the cache is warm, and nothing
//! ever compiles in this process: a hostile component could keep a compiler busy for minutes.
//!
//! A compiled file is native code: it is only loaded from a directory that is ours alone (0700), or from beside
//! the binary, where who can write can replace the binary too. It is never taken from a plugin's author.

#![expect(
    clippy::disallowed_types,
    reason = "compiling in a child process is this module's purpose"
)]

use std::ffi::OsString;
use std::fs;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::io::Read;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, setrlimit};
use wasmtime::component::Component;
use wasmtime::{Engine, OptLevel};

use super::engine::configuration;
use super::error::{SandboxError, words};

/// Name of the hidden command that compiles one component in a process of its own.
pub const COMPILE_COMMAND: &str = "__compile";
/// The target that shipped code is for.
const BASELINE: &str = if cfg!(target_arch = "aarch64") {
    "aarch64-unknown-linux-gnu"
} else {
    "x86_64-unknown-linux-gnu"
};

/// CPU time of one compilation.
const COMPILE_CPU: Duration = Duration::from_secs(240);
/// Address space of one compilation.
const COMPILE_BYTES: u64 = 6 << 30;

/// Who made the component, which decides how it is compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Part of plimsoll: compiled with optimisation.
    Bundle,
    /// Part of plimsoll, for shipping: optimised for any processor of this kind.
    Shipped,
    /// Anybody: compiled without, so that code made to be slow to compile is not (31.8 s against 0.3 s).
    ThirdParty,
}

/// The cache of compiled components.
#[derive(Clone, Debug)]
pub struct Cache {
    directory: PathBuf,
    beside: Option<PathBuf>,
    compiler: PathBuf,
}

impl Cache {
    /// A cache in `directory` (usually `$XDG_CACHE_HOME/plimsoll/aot`); `compiler` is the plimsoll binary.
    pub fn new(directory: PathBuf, compiler: PathBuf) -> Self {
        let beside = compiler.parent().map(|bin| bin.join("plimsoll-aot"));
        Self {
            directory,
            beside,
            compiler,
        }
    }

    /// Loads a component, compiling it first if this version of plimsoll never did.
    ///
    /// # Errors
    /// When the cache can't be used, or the component can't be compiled within its limits.
    pub fn load(
        &self,
        engine: &Engine,
        plugin: &str,
        sha256: &str,
        bytes: &[u8],
        origin: Origin,
    ) -> Result<Component, SandboxError> {
        let name = file_name(engine, sha256);
        let shipped = self.beside.as_ref().map(|directory| directory.join(&name));
        if let Some(component) = shipped.and_then(|file| deserialize(engine, &file)) {
            return Ok(component);
        }
        self.ensure_private()?;
        let file = self.directory.join(&name);
        if let Some(component) = deserialize(engine, &file) {
            return Ok(component);
        }
        self.compile(plugin, bytes, origin, &file)?;
        deserialize(engine, &file).ok_or_else(|| SandboxError::Cache {
            path: file.display().to_string(),
            why: "what was just compiled does not load".to_owned(),
        })
    }

    /// Compiles into `file`, in a child process, through a temporary file.
    fn compile(
        &self,
        plugin: &str,
        bytes: &[u8],
        origin: Origin,
        file: &Path,
    ) -> Result<(), SandboxError> {
        let fail = |why: String| SandboxError::Compile {
            plugin: plugin.to_owned(),
            why,
        };
        let input = file.with_extension(format!("{}.wasm", std::process::id()));
        let output = file.with_extension(format!("{}.tmp", std::process::id()));
        let parent = file.parent().unwrap_or(&self.directory);
        fs::create_dir_all(parent)
            .and_then(|()| fs::write(&input, bytes))
            .map_err(|error| SandboxError::Cache {
                path: parent.display().to_string(),
                why: error.to_string(),
            })?;
        let effort = match origin {
            Origin::Bundle => "optimised",
            Origin::Shipped => "portable",
            Origin::ThirdParty => "quick",
        };
        let arguments: [OsString; 4] = [
            COMPILE_COMMAND.into(),
            effort.into(),
            input.clone().into_os_string(),
            output.clone().into_os_string(),
        ];
        let result = run_bounded(
            &self.compiler,
            &arguments,
            COMPILE_CPU + Duration::from_secs(60),
        );
        let _ = fs::remove_file(&input);
        let compiled = result.map_err(&fail).and_then(|()| {
            fs::rename(&output, file).map_err(|error| SandboxError::Cache {
                path: file.display().to_string(),
                why: error.to_string(),
            })
        });
        let _ = fs::remove_file(&output);
        compiled
    }

    /// Creates the directory for us alone; refuses one that others own or can write.
    fn ensure_private(&self) -> Result<(), SandboxError> {
        let refuse = |why: String| SandboxError::Cache {
            path: self.directory.display().to_string(),
            why,
        };
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.directory)
            .map_err(|error| refuse(error.to_string()))?;
        let metadata = fs::metadata(&self.directory).map_err(|error| refuse(error.to_string()))?;
        let me = rustix::process::geteuid().as_raw();
        if metadata.uid() != me {
            return Err(refuse(format!(
                "it belongs to user {}, not to you ({me})",
                metadata.uid()
            )));
        }
        if metadata.mode() & 0o022 != 0 {
            return Err(refuse(format!(
                "others can write to it (mode {:03o})",
                metadata.mode() & 0o777
            )));
        }
        Ok(())
    }
}

/// `COMPATIBILITY/SHA256.cwasm`: compiled code fits one version and configuration of the engine.
pub fn file_name(engine: &Engine, sha256: &str) -> PathBuf {
    let hash = BuildHasherDefault::<DefaultHasher>::default()
        .hash_one(engine.precompile_compatibility_hash());
    PathBuf::from(format!("{hash:016x}")).join(format!("{sha256}.cwasm"))
}

/// Loads compiled code; nothing on any mismatch, which makes the caller compile anew.
fn deserialize(engine: &Engine, file: &Path) -> Option<Component> {
    if !file.exists() {
        return None;
    }
    #[expect(
        unsafe_code,
        reason = "compiled code is native code: see the module's head for why these files are ours"
    )]
    let component = unsafe { Component::deserialize_file(engine, file) };
    component.ok()
}

/// Runs a command to its end or kills it. The error is its last line, or what stopped it.
fn run_bounded(program: &Path, arguments: &[OsString], limit: Duration) -> Result<(), String> {
    let mut child = Command::new(program)
        .args(arguments)
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("{} does not start: {error}", program.display()))?;
    let end = Instant::now() + limit;
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if Instant::now() < end => std::thread::sleep(Duration::from_millis(2)),
            Ok(None) => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("compiling took longer than {} s", limit.as_secs()));
            }
            Err(error) => return Err(error.to_string()),
        }
    };
    if status.success() {
        return Ok(());
    }
    let mut said = String::new();
    if let Some(mut stderr) = child.stderr.take() {
        let _ = stderr.read_to_string(&mut said);
    }
    Err(match said.lines().last() {
        Some(line) => line.to_owned(),
        None => format!(
            "the compiler was stopped by its limits ({} s, {} GiB)",
            COMPILE_CPU.as_secs(),
            COMPILE_BYTES >> 30
        ),
    })
}

/// The hidden command: limits itself, then compiles `input` to `output`.
///
/// # Errors
/// In the compiler's words.
pub fn compile_here(effort: &str, input: &Path, output: &Path) -> Result<(), String> {
    let limit = |resource, amount| {
        setrlimit(
            resource,
            Rlimit {
                current: Some(amount),
                maximum: Some(amount),
            },
        )
        .map_err(|e| e.to_string())
    };
    limit(Resource::Cpu, COMPILE_CPU.as_secs())?;
    limit(Resource::As, COMPILE_BYTES)?;
    let mut config = configuration();
    match effort {
        "optimised" => config.cranelift_opt_level(OptLevel::Speed),
        // An explicit target means no processor features beyond its baseline; such code loads everywhere.
        "portable" => config
            .target(BASELINE)
            .map_err(|error| words(&error))?
            .cranelift_opt_level(OptLevel::Speed),
        _ => config
            .cranelift_opt_level(OptLevel::None)
            .cranelift_regalloc_algorithm(wasmtime::RegallocAlgorithm::SinglePass),
    };
    let engine = Engine::new(&config).map_err(|error| words(&error))?;
    let bytes = fs::read(input).map_err(|error| error.to_string())?;
    let code = engine
        .precompile_component(&bytes)
        .map_err(|error| words(&error))?;
    fs::write(output, code).map_err(|error| error.to_string())
}
