//! What is refused before it is compiled: code made to keep a compiler busy for minutes.
//!
//! One function with 20,000 locals takes an optimising compiler 32 s and 430 MB (`wasm-host.md` A3). The bounds
//! leave room for a whole Python interpreter in a component (18 MB); time and memory of what passes are bounded in
//! the child process that compiles.

use wasmparser::{Encoding, Parser, Payload};

use super::error::SandboxError;

/// Largest file.
const FILE_BYTES: usize = 64 << 20;
/// Largest function body.
const BODY_BYTES: usize = 1 << 20;
/// Most locals of one function.
const LOCALS: u32 = 20_000;

/// Looks through a component's bytes.
///
/// # Errors
/// `NotAComponent` for anything but a component (compiled code and core modules too), `Oversized` past a bound.
pub fn check(plugin: &str, bytes: &[u8]) -> Result<(), SandboxError> {
    let no = |why: &str| SandboxError::NotAComponent {
        plugin: plugin.to_owned(),
        why: why.to_owned(),
    };
    let oversized = |why: String| SandboxError::Oversized {
        plugin: plugin.to_owned(),
        why,
    };
    if bytes.starts_with(b"\x7fELF") {
        return Err(no("it is compiled code, which could do anything"));
    }
    if !bytes.starts_with(b"\0asm") {
        return Err(no("it does not begin like WebAssembly"));
    }
    if bytes.len() > FILE_BYTES {
        return Err(oversized(format!(
            "it has {} MiB, at most {} are allowed",
            bytes.len() >> 20,
            FILE_BYTES >> 20
        )));
    }
    let broken = |error: wasmparser::BinaryReaderError| no(&format!("it is damaged ({error})"));
    let mut first = true;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.map_err(broken)? {
            Payload::Version { encoding, .. } if first => {
                first = false;
                if encoding == Encoding::Module {
                    return Err(no("it is a core module"));
                }
            }
            Payload::CodeSectionEntry(body) => {
                let size = body.range().len();
                if size > BODY_BYTES {
                    return Err(oversized(format!(
                        "one function has {} KiB, at most {} are allowed",
                        size >> 10,
                        BODY_BYTES >> 10
                    )));
                }
                let mut locals = 0_u32;
                for group in body.get_locals_reader().map_err(broken)? {
                    locals = locals.saturating_add(group.map_err(broken)?.0);
                }
                if locals > LOCALS {
                    return Err(oversized(format!(
                        "one function has {locals} locals, at most {LOCALS} are allowed"
                    )));
                }
            }
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compiled_code_core_modules_and_rubbish_are_no_components() {
        for (bytes, why) in [
            (&b"\x7fELF\x02"[..], "compiled code"),
            (b"hello", "does not begin like WebAssembly"),
            (b"\0asm\x01\0\0\0", "core module"),
            (b"\0asm\x0d\0\x01\0\x07\xff\xff", "damaged"),
        ] {
            let error = check("x", bytes).expect_err("refused").to_string();
            assert!(error.contains(why), "{error}");
        }
    }
}
