//! `storage`: ephemeral space, volumes and EFS.

use crate::cfn;
use crate::cfn::{Value, attribute, import, join, reference, resource, sub, sub_with};
use crate::diagnostic::Findings;
use crate::iam::{allow, allow_if, policy};
use crate::schema::{Object, Shape, TEXT_OR_EXPORT};
use crate::scope::Scope;
use crate::stack::Stack;
use crate::yaml::{At, Node, Span};

/// Keys of `storage`.
pub(crate) const SHAPE: Shape = Shape::Object(&Object {
    fields: &[
        ("ephemeral", Shape::Integer),
        ("readonly_fs", Shape::Boolean),
        (
            "volumes",
            Shape::Map(&Shape::Object(&Object {
                fields: &[
                    ("path", Shape::Text),
                    ("read_only", Shape::Boolean),
                    ("efs", EFS),
                ],
                exclusive: &[],
            })),
        ),
    ],
    exclusive: &[],
});

const EFS: Shape = Shape::Either(
    &[
        Shape::Boolean,
        Shape::Object(&Object {
            fields: &[
                ("id", TEXT_OR_EXPORT),
                ("root_dir", Shape::Text),
                (
                    "auth",
                    Shape::Object(&Object {
                        fields: &[("iam", Shape::Boolean), ("access_point_id", Shape::Text)],
                        exclusive: &[],
                    }),
                ),
                ("uid", Shape::Integer),
                ("gid", Shape::Integer),
            ],
            exclusive: &[&["uid", "gid"], &["id", "root_dir", "auth"]],
        }),
    ],
    "true, false, or a map with `id`, or with `uid` and `gid`",
);

/// The section.
#[derive(Clone, Debug, Default)]
pub(crate) struct Storage {
    /// GiB of ephemeral space.
    pub(crate) ephemeral: Option<At<i64>>,
    /// The root file system cannot be written.
    pub(crate) readonly_root: Option<At<bool>>,
    /// Volumes, sorted by name.
    pub(crate) volumes: Vec<Volume>,
}

/// A volume.
#[derive(Clone, Debug)]
pub(crate) struct Volume {
    /// Its name.
    pub(crate) name: String,
    /// Where the main container sees it.
    pub(crate) path: Option<At<String>>,
    /// True unless the manifest says otherwise.
    pub(crate) read_only: Value,
    writable: bool,
    /// What is behind it.
    pub(crate) backing: Backing,
    /// Where it was said.
    pub(crate) span: Span,
}

/// What is behind a volume.
#[derive(Clone, Debug)]
pub(crate) enum Backing {
    /// Space that ends with the task.
    Scratch,
    /// The environment's own file system.
    Managed {
        /// Owner and group of the workload's directory; derived from its name if not given.
        owner: Option<(At<i64>, At<i64>)>,
    },
    /// A file system the user has.
    Existing(FileSystem),
}

/// A file system the user has.
#[derive(Clone, Debug)]
pub(crate) struct FileSystem {
    id: Value,
    imported: Option<String>,
    literal: String,
    root_directory: Option<At<String>>,
    access_point: Option<At<String>>,
    iam: Option<At<bool>>,
}

impl Storage {
    /// Reads and checks the section.
    pub(crate) fn read(root: &Node, windows: bool, findings: &mut Findings) -> Storage {
        let Some(storage) = root.get("storage") else {
            return Storage::default();
        };
        let section = Storage {
            ephemeral: storage.integer_at("ephemeral"),
            readonly_root: storage.boolean_at("readonly_fs"),
            volumes: storage
                .sorted_at("volumes")
                .into_iter()
                .map(|(key, node)| read_volume(&key.text, key.span, node, windows, findings))
                .collect(),
        };
        if let Some(size) = section
            .ephemeral
            .as_ref()
            .filter(|s| !(20..=200).contains(&s.value))
        {
            findings.error(
                size.span,
                format!("`storage.ephemeral` is {} GiB", size.value),
                "Fargate gives 20 to 200 GiB; leave the key out for 20",
            );
        }
        if windows && let Some(flag) = section.readonly_root.as_ref().filter(|f| f.value) {
            findings.error(
                flag.span,
                "`storage.readonly_fs` is not possible on Windows",
                "Windows containers cannot have a read-only root file system; remove the key",
            );
        }
        let managed: Vec<&Volume> = section
            .volumes
            .iter()
            .filter(|v| matches!(v.backing, Backing::Managed { .. }))
            .collect();
        if let Some(second) = managed.get(1) {
            let names: Vec<&str> = managed.iter().map(|v| v.name.as_str()).collect();
            findings.error(
                second.span,
                format!("only one volume can have a managed `efs`, found {}", names.join(", ")),
                "a workload has one directory on the environment's file system; give the others an `id`",
            );
        }
        section
    }

    /// The feature that a managed volume needs of the environment.
    pub(crate) fn feature(&self) -> Option<At<&'static str>> {
        let managed = |v: &&Volume| matches!(v.backing, Backing::Managed { .. });
        self.volumes
            .iter()
            .find(managed)
            .map(|v| At::new("EFSWorkloads", v.span))
    }

    /// `EphemeralStorage`.
    pub(crate) fn ephemeral_storage(&self) -> Value {
        match &self.ephemeral {
            Some(size) => cfn!({ "SizeInGiB": (size) }),
            None => Value::Absent,
        }
    }

    /// `Volumes`, the managed one first.
    pub(crate) fn volumes(&self) -> Value {
        let managed = |v: &&Volume| matches!(v.backing, Backing::Managed { .. });
        let (first, rest): (Vec<&Volume>, Vec<&Volume>) = self.volumes.iter().partition(managed);
        let volumes: Vec<Value> = first
            .into_iter()
            .chain(rest)
            .map(Volume::definition)
            .collect();
        if volumes.is_empty() {
            Value::Absent
        } else {
            Value::List(volumes)
        }
    }

    /// `MountPoints` of the main container.
    pub(crate) fn mount_points(&self) -> Value {
        let points: Vec<Value> = self
            .volumes
            .iter()
            .map(|v| mount_point(&v.name, v.path.as_ref(), v.read_only.clone()).at(v.span))
            .collect();
        if points.is_empty() {
            Value::Absent
        } else {
            Value::List(points)
        }
    }

    /// The value of `COPILOT_MOUNT_POINTS` in the main container.
    pub(crate) fn mount_points_variable(&self) -> Value {
        let points = self.volumes.iter().map(|v| {
            (
                v.name.as_str(),
                v.path.as_ref().map_or("", |p| p.value.as_str()),
            )
        });
        mount_points_variable(points)
    }

    /// Policies of the task role.
    pub(crate) fn policies(&self) -> Vec<Value> {
        let existing = self.volumes.iter().filter_map(|v| match &v.backing {
            Backing::Existing(system) => Some((system, v)),
            Backing::Scratch | Backing::Managed { .. } => None,
        });
        let mut policies: Vec<Value> = existing
            .enumerate()
            .map(|(i, (system, volume))| system.policy(i, volume.writable).at(volume.span))
            .collect();
        if let Some(volume) = self
            .volumes
            .iter()
            .find(|v| matches!(v.backing, Backing::Managed { .. }))
        {
            policies.push(managed_policy().at(volume.span));
        }
        policies
    }

    /// Adds the access point of the managed volume.
    pub(crate) fn access_point(&self, scope: &Scope<'_>, stack: &mut Stack) {
        for volume in &self.volumes {
            let Backing::Managed { owner } = &volume.backing else {
                continue;
            };
            // Without an owner the name decides, so that every workload gets its own.
            let derived = i64::from(checksum(scope.name.as_bytes()));
            let (uid, gid) = match owner {
                Some((uid, gid)) => (Value::from(uid), Value::from(gid)),
                None => (derived.into(), derived.into()),
            };
            stack.resource(
                "AccessPoint",
                resource("AWS::EFS::AccessPoint", "The workload's directory on the environment's file system")
                    .properties(cfn!({
                        "ClientToken": (sub("${AppName}-${EnvName}-${WorkloadName}")),
                        "FileSystemId": (attribute("EnvControllerAction", "ManagedFileSystemID")),
                        "PosixUser": { "Uid": (uid.clone()), "Gid": (gid.clone()) },
                        "RootDirectory": {
                            "Path": (sub(format!("/{}", scope.name))),
                            "CreationInfo": { "OwnerUid": (uid), "OwnerGid": (gid), "Permissions": "0755" },
                        },
                    }))
                    .at(volume.span),
            );
            return;
        }
    }
}

/// One `MountPoints` entry.
pub(crate) fn mount_point(volume: &str, path: Option<&At<String>>, read_only: Value) -> Value {
    cfn!({
        "ContainerPath": (path.map(|p| Value::raw(&p.value).at(p.span))),
        "ReadOnly": (read_only),
        "SourceVolume": (Value::raw(volume)),
    })
}

/// `COPILOT_MOUNT_POINTS`: a JSON object from volume to path; absent without volumes.
pub(crate) fn mount_points_variable<'a>(points: impl Iterator<Item = (&'a str, &'a str)>) -> Value {
    let points: std::collections::BTreeMap<&str, &str> = points.collect();
    if points.is_empty() {
        return Value::Absent;
    }
    let json = serde_json::to_string(&points).unwrap_or_default();
    cfn!({ "Name": "COPILOT_MOUNT_POINTS", "Value": (json) })
}

fn read_volume(
    name: &str,
    span: Span,
    node: &Node,
    windows: bool,
    findings: &mut Findings,
) -> Volume {
    let path = node.text_at("path");
    let field = |key: &str| format!("storage.volumes.{name}.{key}");
    match &path {
        None => findings.error(
            span,
            format!("`{}` must be specified", field("path")),
            "say where the container sees the volume, for example /var/data",
        ),
        Some(path) => check_path(path, &field("path"), findings),
    }
    let read_only = node.boolean_at("read_only");
    Volume {
        name: name.to_owned(),
        path,
        writable: read_only.as_ref().is_some_and(|r| !r.value),
        read_only: read_only.map_or_else(|| true.into(), Value::from),
        backing: node.get("efs").map_or(Backing::Scratch, |efs| {
            read_efs(efs, &field("efs"), windows, findings)
        }),
        span,
    }
}

/// Mount paths may hold letters, digits and `-._/`.
pub(crate) fn check_path(path: &At<String>, field: &str, findings: &mut Findings) {
    let fine = |c: char| c.is_ascii_alphanumeric() || "-._/".contains(c);
    if path.value.is_empty() || !path.value.chars().all(fine) {
        findings.error(
            path.span,
            format!("`{field}` cannot be `{}`", path.value),
            "a path holds letters, digits, and the characters - . _ /",
        );
    }
}

fn read_efs(efs: &Node, field: &str, windows: bool, findings: &mut Findings) -> Backing {
    let on = efs.boolean() == Some(true)
        || efs
            .entries()
            .is_some_and(|e| e.iter().any(|(_, v)| !v.is_null()));
    if !on {
        return Backing::Scratch;
    }
    if windows {
        findings.error(
            efs.span,
            format!("`{field}` is not possible on Windows"),
            "Windows tasks cannot mount EFS",
        );
    }
    let (uid, gid) = (efs.integer_at("uid"), efs.integer_at("gid"));
    let owned = efs.get("uid").is_some() || efs.get("gid").is_some();
    let existing = ["id", "root_dir", "auth"]
        .iter()
        .find(|k| efs.get(k).is_some());
    if let Some(key) = existing.filter(|_| owned) {
        findings.error(
            efs.span,
            format!("`{field}` has both `uid`/`gid` and `{key}`"),
            "`uid` and `gid` are for the managed file system; `id`, `root_dir` and `auth` for one you have",
        );
    }
    if let (Some(uid), Some(gid)) = (&uid, &gid) {
        if uid.value <= 0 || uid.value > i64::from(u32::MAX) {
            findings.error(
                uid.span,
                format!("`{field}.uid` cannot be {}", uid.value),
                "choose a user id above 0",
            );
        }
        if gid.value < 0 || gid.value > i64::from(u32::MAX) {
            findings.error(
                gid.span,
                format!("`{field}.gid` cannot be {}", gid.value),
                "choose a group id",
            );
        }
    } else if owned {
        findings.error(
            efs.span,
            format!("`{field}` needs both `uid` and `gid`"),
            "add the missing one, or leave both out",
        );
    }
    if existing.is_none() {
        return Backing::Managed {
            owner: uid.zip(gid),
        };
    }
    let Some(id) = efs.get("id") else {
        findings.error(
            efs.span,
            format!("`{field}.id` must be specified"),
            "name the file system, for example fs-0123abcd",
        );
        return Backing::Scratch;
    };
    let auth = efs.get("auth");
    let system = FileSystem {
        id: crate::network::text_or_import(id),
        imported: id.text_at("from_cfn").map(|t| t.value),
        literal: id.text().unwrap_or_default().to_owned(),
        root_directory: efs.text_at("root_dir"),
        access_point: auth.and_then(|a| a.text_at("access_point_id")),
        iam: auth.and_then(|a| a.boolean_at("iam")),
    };
    if let Some(point) = &system.access_point {
        if let Some(root) = system
            .root_directory
            .as_ref()
            .filter(|r| !matches!(r.value.as_str(), "" | "/"))
        {
            findings.error(
                root.span,
                format!(
                    "`{field}.root_dir` is `{}`, but `access_point_id` fixes the root directory",
                    root.value
                ),
                "leave `root_dir` out or write /",
            );
        }
        if system.iam.as_ref().is_some_and(|iam| !iam.value) {
            findings.error(
                point.span,
                format!("`{field}.auth.access_point_id` needs `iam: true`"),
                "an access point is entered with the task's role",
            );
        }
    }
    Backing::Existing(system)
}

impl Volume {
    fn definition(&self) -> Value {
        let efs = match &self.backing {
            Backing::Scratch => Value::Absent,
            Backing::Managed { .. } => cfn!({
                "FilesystemId": (attribute("EnvControllerAction", "ManagedFileSystemID")),
                "RootDirectory": "/",
                "TransitEncryption": "ENABLED",
                "AuthorizationConfig": { "AccessPointId": (reference("AccessPoint")), "IAM": "ENABLED" },
            }),
            Backing::Existing(system) => system.definition(),
        };
        cfn!({ "Name": (Value::raw(&self.name)), "EFSVolumeConfiguration": (efs) }).at(self.span)
    }
}

impl FileSystem {
    fn definition(&self) -> Value {
        // An access point is useless without IAM, so it switches IAM on (Copilot leaves it off there).
        let iam = match &self.iam {
            Some(iam) => iam.value,
            None => self.access_point.is_some(),
        };
        let root = match &self.root_directory {
            Some(root) => Value::raw(&root.value).at(root.span),
            None => "/".into(),
        };
        cfn!({
            "FilesystemId": (self.id.clone()),
            "RootDirectory": (root),
            "TransitEncryption": "ENABLED",
            "AuthorizationConfig": {
                "AccessPointId": (self.access_point.as_ref()),
                "IAM": (if iam { "ENABLED" } else { "DISABLED" }),
            },
        })
    }

    fn policy(&self, index: usize, writable: bool) -> Value {
        let prefix = "arn:${AWS::Partition}:elasticfilesystem:${AWS::Region}:${AWS::AccountId}";
        let (name, system) = match &self.imported {
            Some(export) => (
                join(
                    "",
                    vec![
                        "GrantEFSAccess".into(),
                        import(export.clone()),
                        format!("-{index}").into(),
                    ],
                ),
                join(
                    "/",
                    vec![sub(format!("{prefix}:file-system")), import(export.clone())],
                ),
            ),
            None => (
                format!("GrantEFSAccess{}-{index}", self.literal).into(),
                sub(format!("{prefix}:file-system/{}", self.literal)),
            ),
        };
        let write = writable.then_some("elasticfilesystem:ClientWrite");
        let actions = cfn!(["elasticfilesystem:ClientMount", (write)]);
        let statement = match &self.access_point {
            Some(point) => {
                let arn = sub(format!("{prefix}:access-point/{}", point.value));
                let condition =
                    cfn!({ "StringEquals": { "elasticfilesystem:AccessPointArn": (arn) } });
                allow_if(actions, cfn!([(system)]), condition)
            }
            None => allow(actions, cfn!([(system)])),
        };
        policy(name, vec![statement])
    }
}

fn managed_policy() -> Value {
    let system = sub_with(
        "arn:${partition}:elasticfilesystem:${region}:${account}:file-system/${fsid}",
        cfn!({
            "partition": (reference("AWS::Partition")),
            "region": (reference("AWS::Region")),
            "account": (reference("AWS::AccountId")),
            "fsid": (attribute("EnvControllerAction", "ManagedFileSystemID")),
        }),
    );
    policy(
        "GrantAccessCopilotManagedEFS",
        vec![allow_if(
            cfn!([
                "elasticfilesystem:ClientMount",
                "elasticfilesystem:ClientWrite"
            ]),
            cfn!([(system)]),
            cfn!({ "StringEquals": {
                "elasticfilesystem:AccessPointArn": (attribute("AccessPoint", "Arn")),
            }}),
        )],
    )
}

/// CRC-32 (IEEE): existing workloads own their directories by this number.
fn checksum(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 {
                (crc >> 1) ^ 0xEDB8_8320
            } else {
                crc >> 1
            };
        }
    }
    !crc
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_of_existing_directories_are_kept() {
        assert_eq!(checksum(b"job"), 4_225_294_584);
        assert_eq!(checksum(b"backup"), 1_072_746_924);
    }
}
