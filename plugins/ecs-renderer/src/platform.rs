//! `platform`: operating system and processor.

use crate::cfn;
use crate::cfn::Value;
use crate::diagnostic::Findings;
use crate::schema::{Object, Shape};
use crate::yaml::{Node, Span};

/// `os/architecture`, or both apart.
pub(crate) const SHAPE: Shape = Shape::Either(
    &[
        Shape::Text,
        Shape::Object(&Object {
            fields: &[("osfamily", Shape::Text), ("architecture", Shape::Text)],
            exclusive: &[],
        }),
    ],
    "`os/architecture` or a map with `osfamily` and `architecture`",
);

/// What a task runs on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Platform {
    /// CloudFormation's name of the system.
    pub(crate) family: &'static str,
    /// CloudFormation's name of the processor.
    pub(crate) architecture: &'static str,
    /// Where it was said.
    pub(crate) span: Span,
}

const TEXTS: [&str; 6] = [
    "linux/amd64",
    "linux/x86_64",
    "linux/arm",
    "linux/arm64",
    "windows/amd64",
    "windows/x86_64",
];

impl Platform {
    /// Reads and checks the field; nothing said means Linux on x86.
    pub(crate) fn read(root: &Node, findings: &mut Findings) -> Option<Platform> {
        let node = root.get("platform")?;
        let (os, architecture) = match node.text() {
            Some(text) => {
                if !TEXTS.contains(&text) {
                    findings.error(
                        node.span,
                        format!("`platform` cannot be `{text}`"),
                        format!("write one of {}", TEXTS.join(", ")),
                    );
                    return None;
                }
                let (os, architecture) = text.split_once('/')?;
                (os.to_owned(), architecture.to_owned())
            }
            None => {
                let (os, architecture) = (node.text_at("osfamily"), node.text_at("architecture"));
                let (Some(os), Some(architecture)) = (os, architecture) else {
                    findings.error(
                        node.span,
                        "`platform` needs both `osfamily` and `architecture`",
                        "add the missing key, or write `platform: linux/arm64`",
                    );
                    return None;
                };
                (os.value, architecture.value)
            }
        };
        let family = match os.to_lowercase().as_str() {
            "linux" => "LINUX",
            "windows" | "windows_server_2019_core" => "WINDOWS_SERVER_2019_CORE",
            "windows_server_2019_full" => "WINDOWS_SERVER_2019_FULL",
            "windows_server_2022_core" => "WINDOWS_SERVER_2022_CORE",
            "windows_server_2022_full" => "WINDOWS_SERVER_2022_FULL",
            _ => "",
        };
        let processor = match architecture.to_lowercase().as_str() {
            "amd64" | "x86_64" => "X86_64",
            "arm" | "arm64" if family == "LINUX" => "ARM64",
            _ => "",
        };
        if family.is_empty() || processor.is_empty() {
            findings.error(
                node.span,
                format!("`platform` cannot be osfamily `{os}` with architecture `{architecture}`"),
                "osfamily is linux, windows, or windows_server_{2019,2022}_{core,full}; architecture is x86_64 or, for linux, arm64",
            );
            return None;
        }
        Some(Platform {
            family,
            architecture: processor,
            span: node.span,
        })
    }

    /// As image builders write it: `linux/arm64`.
    pub(crate) fn build(&self) -> String {
        let system = if self.is_windows() {
            "windows"
        } else {
            "linux"
        };
        let processor = if self.is_arm() { "arm64" } else { "amd64" };
        format!("{system}/{processor}")
    }

    /// True for every Windows.
    pub(crate) fn is_windows(&self) -> bool {
        self.family != "LINUX"
    }

    /// True for ARM processors.
    pub(crate) fn is_arm(&self) -> bool {
        self.architecture == "ARM64"
    }

    /// `RuntimePlatform`; the default platform says nothing.
    pub(crate) fn runtime(platform: Option<&Platform>) -> Value {
        match platform {
            Some(p) if p.is_windows() || p.is_arm() => cfn!({
                "OperatingSystemFamily": (p.family),
                "CpuArchitecture": (p.architecture),
            })
            .at(p.span),
            Some(_) | None => Value::Absent,
        }
    }
}
