//! Files that a version brings along: assets, error pages, certificates (`kamal.md` §1.8).

use release::{Proxy, Release, Role, Value};

use crate::call::{Call, Promise};
use crate::plan::Input;
use crate::step::{Boot, Step};

/// Puts the files of everything that boots on a host in place.
pub fn plan(input: &Input<'_>, host: &str, boots: &[(String, Boot)]) -> Option<Step> {
    let release = &input.desired.release;
    let here = |name: &str| {
        let mut boots = boots.iter();
        boots.find(|(at, boot)| at == host && boot.role == name)
    };
    let roles = input.desired.roles_on(host).into_iter();
    let booting: Vec<_> = roles
        .filter_map(|(name, role)| Some((name, role, &here(name)?.1)))
        .collect();
    let (mut first, mut second, mut third) = (Vec::new(), Vec::new(), Vec::new());
    // Wherever something boots, routed or not: as Kamal.
    let pages = release.error_pages.as_ref();
    if let Some(error_pages) = pages.filter(|_| !booting.is_empty()) {
        let folder = error_pages_folder(input);
        for page in &error_pages.pages {
            let call = Call::Put {
                path: format!("{folder}/{}/{}", input.desired.version(), page.name),
                mode: 0o644,
                content: page.content.clone(),
            };
            first.push(input.promise(host, &format!("error-pages/{}", page.name), call));
        }
    }
    for (name, role, boot) in booting {
        if let Some(tls) = role.proxy.as_ref().and_then(|route| route.tls.as_ref()) {
            let (written, given) = certificate(input, host, name, tls);
            first.extend(written);
            second.extend(given);
        }
        if let Some(assets) = &role.assets {
            let id = |what: &str| format!("{}/{what}", release.prefix(name));
            let extract = Call::Extract {
                image: role.image.clone(),
                path: assets.path.clone(),
                container: format!("{}-assets", release.prefix(name)),
                directory: extracted(input, name, input.desired.version()),
            };
            first.push(input.promise(host, &id("assets"), extract));
            let merge = |what: &str, source: String, target: String| {
                input.promise(host, &id(what), Call::Merge { source, target })
            };
            let new = input.desired.version();
            second.push(merge(
                "assets-volume",
                extracted(input, name, new),
                volume(input, name, new),
            ));
            // By the name it has now: it may have to clear it for the new one.
            let facts = input.facts.get(host);
            let current = facts.and_then(|facts| facts.current(release, &boot.role));
            let old =
                current.and_then(|one| crate::observed::version(release, &boot.role, &one.name));
            if let Some(old) = old.filter(|old| old != new) {
                let there = merge(
                    "assets-to-old",
                    extracted(input, name, new),
                    volume(input, name, &old),
                );
                let back = merge(
                    "assets-from-old",
                    extracted(input, name, &old),
                    volume(input, name, new),
                );
                third.extend([there.or_not(), back.or_not()]);
            }
        }
    }
    input.work(
        "files",
        host,
        "files",
        format!("put files in place on {host}"),
        vec![first, second, third],
    )
}

/// The certificate for everybody, its key for the proxy's user alone.
fn certificate(
    input: &Input<'_>,
    host: &str,
    role: &str,
    tls: &release::Tls,
) -> (Vec<Promise>, Vec<Promise>) {
    let folder = format!("{}/tls/{role}", input.desired.release.proxy_directory());
    let put = |file: &str, mode: u32, content: &Value| {
        let call = Call::Put {
            path: format!("{folder}/{file}"),
            mode,
            content: content.clone(),
        };
        input.promise(host, &format!("tls/{role}/{file}"), call)
    };
    // The SSH user need not be root, and the proxy's user has no name outside of its container.
    let own = Call::Exec {
        container: Proxy::CONTAINER.to_owned(),
        user: Some("root".to_owned()),
        command: vec![
            Value::text("chown"),
            Value::text("kamal-proxy"),
            Value::text(format!(
                "{}/tls/{role}/key.pem",
                input.desired.release.proxy_directory_inside()
            )),
        ],
    };
    let written = vec![
        put("cert.pem", 0o644, &tls.certificate),
        put("key.pem", 0o600, &tls.private_key),
    ];
    // Where that fails the proxy says so when it can't read the key.
    let own = input.promise(host, &format!("tls/{role}/owner"), own);
    (written, vec![own.or_not()])
}

/// What is removed when the old container has stopped.
pub fn cleanup(input: &Input<'_>, host: &str, name: &str, role: &Role) -> Vec<Promise> {
    let release = &input.desired.release;
    let version = input.desired.version();
    let mut promises = Vec::new();
    let keep = |what: &str, directory: String, prefix: String, keep: String| {
        let id = format!("{}/{what}", release.prefix(name));
        let call = Call::KeepOnly {
            directory,
            prefix,
            keep,
        };
        input.promise(host, &id, call).or_not()
    };
    if role.assets.is_some() {
        for what in ["extracted", "volumes"] {
            promises.push(keep(
                &format!("clear-assets-{what}"),
                format!("{}/assets/{what}", release.app_directory()),
                format!("{name}-"),
                format!("{name}-{version}"),
            ));
        }
    }
    if release.error_pages.is_some() {
        promises.push(keep(
            "clear-error-pages",
            error_pages_folder(input),
            String::new(),
            version.to_owned(),
        ));
    }
    promises
}

/// The volume of a role's assets.
pub fn assets_volume(input: &Input<'_>, name: &str, role: &Role) -> Option<Value> {
    let assets = role.assets.as_ref()?;
    let source = volume(input, name, input.desired.version());
    let options = assets.options.iter();
    let options: String = options.map(|options| format!(":{options}")).collect();
    Some(Value::text(format!("{source}:{}{options}", assets.path)))
}

fn extracted(input: &Input<'_>, role: &str, version: &str) -> String {
    let folder = input.desired.release.app_directory();
    format!("{folder}/assets/extracted/{role}-{version}")
}

fn volume(input: &Input<'_>, role: &str, version: &str) -> String {
    format!("{}{version}", volumes(&input.desired.release, role))
}

/// Where the volumes of a role's assets are, up to their version.
pub fn volumes(release: &Release, role: &str) -> String {
    format!("{}/assets/volumes/{role}-", release.app_directory())
}

fn error_pages_folder(input: &Input<'_>) -> String {
    format!("{}/error_pages", input.desired.release.proxy_directory())
}
