//! The registry's certificate, from an authority of the lab's own.

use std::path::Path;

use crate::command::{command, run};
use crate::{LabError, state};

const KEY_KIND: [&str; 5] = [
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:prime256v1",
    "-nodes",
];

/// Makes `ca.crt`, `registry.crt` and `registry.key` in `folder`, for a server at `address`, unless they are there.
pub fn make(folder: &Path, address: &str) -> Result<(), LabError> {
    // The last one written: if it is there, all are.
    if folder.join("registry.crt").exists() {
        return Ok(());
    }
    state::make_private(folder)?;
    let openssl =
        |arguments: &[&str]| run(command("openssl", arguments).current_dir(folder)).map(drop);
    let authority = [
        "-subj",
        "/CN=plimsoll lab",
        "-days",
        "3650",
        "-keyout",
        "ca.key",
        "-out",
        "ca.crt",
    ];
    let may_sign = ["-addext", "basicConstraints=critical,CA:TRUE"];
    openssl(&[&["req", "-x509"], &KEY_KIND[..], &authority, &may_sign].concat())?;
    let subject = format!("/CN={address}");
    let request = [
        "-subj",
        &subject,
        "-keyout",
        "registry.key",
        "-out",
        "registry.csr",
    ];
    openssl(&[&["req"], &KEY_KIND[..], &request].concat())?;
    state::write(
        &folder.join("names"),
        0o600,
        format!("subjectAltName=IP:{address}\n"),
    )?;
    openssl(&[
        "x509",
        "-req",
        "-in",
        "registry.csr",
        "-CA",
        "ca.crt",
        "-CAkey",
        "ca.key",
        "-CAcreateserial",
        "-days",
        "3650",
        "-extfile",
        "names",
        "-out",
        "registry.crt",
    ])
}
