//! Whom to trust: this machine's certificate authorities, or those of the file that the user names, as the AWS CLI has it
//! (`AWS_CA_BUNDLE`, then `ca_bundle` of the profile): these and no others.

use std::path::Path;

use aws_config::profile::ProfileSet;
use aws_smithy_http_client::tls::{TlsContext, TrustStore};
use aws_types::os_shim_internal::Env;
use tokio_rustls::rustls::RootCertStore;

use super::{AwsError, Why};

/// What connections to AWS trust.
///
/// # Errors
/// When the file that is named holds no certificates.
pub(super) fn chosen(
    variables: &Env,
    profiles: Option<&ProfileSet>,
) -> Result<TlsContext, AwsError> {
    let variable = variables.get("AWS_CA_BUNDLE").ok();
    let variable = variable.filter(|path| !path.is_empty());
    let profile = || {
        let profiles = profiles?;
        let profile = profiles.get_profile(profiles.selected_profile())?;
        profile.get("ca_bundle").map(str::to_owned)
    };
    let named = variable
        .map(|path| ("AWS_CA_BUNDLE", path))
        .or_else(|| profile().map(|path| ("ca_bundle of the profile", path)));
    Ok(match named {
        None => TlsContext::default(),
        Some((by, path)) => {
            let pem = read(Path::new(&path)).map_err(|why| {
                let message = format!("{by} names {path}, which {why}");
                AwsError::before_any_call(Why::Refused, message)
            })?;
            let store = TrustStore::empty().with_pem_certificate(pem);
            let context = TlsContext::builder().with_trust_store(store).build();
            context.map_err(|error| AwsError::before_any_call(Why::Refused, error.to_string()))?
        }
    })
}

/// Certificates as text. The SDK takes for granted that they are some.
fn read(path: &Path) -> Result<Vec<u8>, String> {
    let unread = |error: String| format!("can't be read: {error}");
    let pem = std::fs::read(path).map_err(|error| unread(error.to_string()))?;
    let found = rustls_native_certs::load_certs_from_paths(Some(path), None);
    if let Some(error) = found.errors.first() {
        return Err(unread(error.to_string()));
    }
    let mut store = RootCertStore::empty();
    for certificate in found.certs {
        store
            .add(certificate)
            .map_err(|error| unread(error.to_string()))?;
    }
    match store.is_empty() {
        true => Err("holds no certificates (PEM)".to_owned()),
        false => Ok(pem),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen_of(variables: &[(&str, &str)]) -> Result<TlsContext, AwsError> {
        chosen(&Env::from_slice(variables), None)
    }

    #[test]
    fn a_file_without_certificates_is_named_before_anything_is_asked() {
        assert!(chosen_of(&[]).is_ok() && chosen_of(&[("AWS_CA_BUNDLE", "")]).is_ok());
        let empty = std::env::temp_dir().join(format!("plimsoll-ca-{}", std::process::id()));
        std::fs::write(&empty, "nothing\n").expect("writes");
        for (path, why) in [
            ("/nowhere/ca.pem", "can't be read"),
            (empty.to_str().expect("UTF-8"), "holds no certificates"),
        ] {
            let refused = chosen_of(&[("AWS_CA_BUNDLE", path)]).expect_err(path);
            assert!(
                refused.message.contains(why) && refused.message.contains("AWS_CA_BUNDLE"),
                "{refused}"
            );
        }
        std::fs::remove_file(&empty).expect("removes");
    }
}
