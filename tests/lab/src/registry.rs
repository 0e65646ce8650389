//! A registry behind TLS and a password, as servers in the world have one.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use crate::command::{as_root, command, find, run, run_with_input};
use crate::engine::last_lines;
use crate::report::say;
use crate::{Engine, LabError, certificate, process, state};

/// Where this machine is seen by its servers.
pub(crate) const GATEWAY: &str = "172.31.77.1";
/// Where the registry listens, as it stands in the name of an image.
pub(crate) const ADDRESS: &str = "172.31.77.1:5000";
const USERNAME: &str = "lab";
const START_LIMIT: Duration = Duration::from_secs(20);

/// A registry that the hosts and this machine's Engine trust.
#[derive(Debug, Clone)]
pub struct Registry {
    /// `172.31.77.1:5000`.
    pub address: String,
    /// The only user.
    pub username: String,
    /// The user's password, made when the lab was.
    pub password: String,
    /// The authority that signed its certificate, as PEM.
    pub ca_path: PathBuf,
    /// A folder for `docker --config` with the credentials in it; the user's own stays untouched.
    pub docker_config: PathBuf,
}

impl Registry {
    /// Pushes a local image, named `172.31.77.1:5000/…`, with the credentials.
    pub fn push(&self, image: &str) -> Result<(), LabError> {
        let config = self.docker_config.to_string_lossy();
        Engine::Local
            .docker(&["--config", &config, "push", image])
            .map(drop)
    }
}

/// Starts the registry unless it runs. The caller holds the lab's lock, and the lab's network exists.
pub(crate) fn up() -> Result<Registry, LabError> {
    let folder = state::folder()?.join("registry");
    certificate::make(&folder, GATEWAY)?;
    let registry = Registry {
        address: ADDRESS.to_owned(),
        username: USERNAME.to_owned(),
        password: password(&folder)?,
        ca_path: folder.join("ca.crt"),
        docker_config: folder.join("docker"),
    };
    trust(&registry.ca_path)?;
    let pid_file = folder.join("pid");
    if process::running(&pid_file, "docker-registry").is_some() && registry.docker_config.exists() {
        return Ok(registry);
    }
    start(&folder, &pid_file)?;
    state::make_private(&registry.docker_config)?;
    let config = registry.docker_config.to_string_lossy();
    let login = [
        "--config",
        &config,
        "login",
        "--username",
        USERNAME,
        "--password-stdin",
        ADDRESS,
    ];
    run_with_input(
        &mut Engine::Local.command(&login),
        registry.password.as_bytes(),
    )?;
    Ok(registry)
}

/// Stops the registry and forgets what was pushed. The caller holds the lab's lock.
pub(crate) fn down() -> Result<(), LabError> {
    let folder = state::folder()?.join("registry");
    if process::stop(&folder.join("pid"), "docker-registry")? {
        say("stopped the registry");
    }
    for gone in ["data", "docker"]
        .map(|name| folder.join(name))
        .into_iter()
        .filter(|path| path.exists())
    {
        fs::remove_dir_all(&gone).map_err(LabError::file(&gone))?;
    }
    let trusted = trusted_folder();
    if trusted.exists() {
        run(&mut as_root("rm", [Path::new("-r"), &trusted]))?;
    }
    Ok(())
}

fn start(folder: &Path, pid_file: &Path) -> Result<(), LabError> {
    let program = find("docker-registry").unwrap_or_else(|| "docker-registry".into());
    let configuration = folder.join("config.yml");
    state::write(&configuration, 0o600, configuration_text(folder))?;
    let log_file = folder.join("log");
    let log = fs::File::create(&log_file).map_err(LabError::file(&log_file))?;
    let errors = log.try_clone().map_err(LabError::file(&log_file))?;
    let program = program.to_string_lossy();
    let mut registry = command(
        "setsid",
        [&*program, "serve", &*configuration.to_string_lossy()],
    );
    registry.stdin(Stdio::null()).stdout(log).stderr(errors);
    let mut child = registry.spawn().map_err(|source| LabError::Start {
        program: "docker-registry".to_owned(),
        source,
    })?;
    state::write(pid_file, 0o600, child.id().to_string())?;
    let address: SocketAddr = ADDRESS
        .parse()
        .expect("the registry's address is an address");
    let begun = Instant::now();
    while TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_err() {
        let ended = child.try_wait().is_ok_and(|status| status.is_some());
        if ended || begun.elapsed() > START_LIMIT {
            return Err(LabError::NotReady {
                what: format!("the registry listen on {ADDRESS}"),
                limit: START_LIMIT,
                detail: last_lines(&log_file, 3),
            });
        }
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

fn configuration_text(folder: &Path) -> String {
    let path = |name: &str| serde_json::json!(folder.join(name).to_string_lossy()).to_string();
    let (data, passwords, certificate, key) = (
        path("data"),
        path("htpasswd"),
        path("registry.crt"),
        path("registry.key"),
    );
    format!(
        "version: 0.1\nlog: {{ level: warn }}\n\
         storage: {{ filesystem: {{ rootdirectory: {data} }}, delete: {{ enabled: true }} }}\n\
         auth: {{ htpasswd: {{ realm: lab, path: {passwords} }} }}\n\
         http: {{ addr: \"{ADDRESS}\", tls: {{ certificate: {certificate}, key: {key} }} }}\n"
    )
}

/// The password in `folder`, made at the first call together with the hash the registry reads.
fn password(folder: &Path) -> Result<String, LabError> {
    let file = folder.join("password");
    if let Ok(password) = fs::read_to_string(&file) {
        return Ok(password);
    }
    let password = state::random_secret()?;
    // The cheapest cost: the password has 128 bits, and every request pays for the hash.
    let hash = bcrypt::hash(&password, 4)
        .map_err(|error| LabError::Step(format!("hash the registry's password: {error}")))?;
    state::write(
        &folder.join("htpasswd"),
        0o600,
        format!("{USERNAME}:{hash}\n"),
    )?;
    state::write(&file, 0o600, &password)?;
    Ok(password)
}

/// An Engine reads this folder on every pull and push: no restart for a new authority.
fn trusted_folder() -> PathBuf {
    Path::new("/etc/docker/certs.d").join(ADDRESS)
}

fn trust(ca: &Path) -> Result<(), LabError> {
    let trusted = trusted_folder().join("ca.crt");
    let same = fs::read(&trusted)
        .ok()
        .is_some_and(|text| fs::read(ca).is_ok_and(|ours| ours == text));
    if same {
        return Ok(());
    }
    run(&mut as_root(
        "install",
        [Path::new("-D"), Path::new("-m644"), ca, &trusted],
    ))
    .map(drop)
}
