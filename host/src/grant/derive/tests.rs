use super::*;

const MANIFEST: &str = "
service: app
image: acme/app
registry: {server: ghcr.io, username: bob, password: [TOKEN]}
volumes: ['/data:/data', '~/up:/up', 'store:/x', '../out:/y']
servers:
  web: [web-1, web-2]
  jobs: {hosts: [job-1], options: {cap-add: NET_ADMIN, network: legacy, volume: '/opt/x:/x'}}
env: {secret: [DB_PASSWORD:DB]}
proxy: {ssl: {certificate_pem: PEM, private_key_pem: KEY}, run: {registry: mirror.io, options: {sysctl: a=1}}}
ssh: {key_data: [SSH_KEY]}
accessories:
  db: {image: 'mysql:8', host: db-1, directories: ['data:/var/lib/mysql'], volumes: ['/srv/db:/db']}
  search: {service: finder, image: elastic, registry: {server: r.io}, roles: [web]}
";

fn grants(destination: Option<&str>) -> Grants {
    let envelope =
        Envelope::read(&[("config/deploy.yml", MANIFEST)], destination).expect("it is a map");
    let (hooks, secrets) = (
        ["pre-deploy".to_owned()],
        ["DB".to_owned(), "OTHER".to_owned()],
    );
    let facts = Facts {
        hooks: &hooks,
        secrets: &secrets,
    };
    Grants::from_envelope("ssh-driver", &envelope, facts)
}

#[test]
fn what_a_deploy_of_the_manifest_does_is_covered() {
    let grants = grants(None);
    for answer in [
        grants.covers_docker_host("web-2"),
        grants.covers_docker_host("db-1"),
        grants.covers_ssh_host("job-1"),
        grants.covers_container("app-web-3f2a"),
        grants.covers_container("app-oldrole-3f2a_replaced_00112233aabbccdd"),
        grants.covers_container("kamal-proxy"),
        grants.covers_container("app-db"),
        grants.covers_container("finder"),
        grants.covers_image("ghcr.io/acme/app:3f2a"),
        grants.covers_image("mirror.io/basecamp/kamal-proxy:v0.9.2"),
        grants.covers_image("basecamp/kamal-proxy:v0.9.2"),
        grants.covers_image("mysql:8"),
        grants.covers_image("r.io/elastic:1"),
        grants.covers_network("kamal"),
        grants.covers_network("legacy"),
        grants.covers_mount("kamal-proxy-config"),
        grants.covers_mount(".kamal/proxy/apps-config"),
        grants.covers_mount("/data"),
        grants.covers_mount("./up"),
        grants.covers_mount("store"),
        grants.covers_mount("/opt/x"),
        grants.covers_mount("/srv/db"),
        grants.covers_mount("app-db/data"),
        grants.covers_option("cap-add", "NET_ADMIN"),
        grants.covers_option("sysctl", "a=1"),
        grants.covers_option("volume", "/opt/x:/x"),
        grants.covers_option("network", "legacy"),
        grants.covers_exec("kamal-proxy", &["kamal-proxy", "deploy", "app-web"]),
        grants.covers_read_file("kamal-proxy", PROXY_STATE),
        grants.covers_write(".kamal/apps/app/env/roles/web.env"),
        grants.covers_write("app-db/data"),
        grants.covers_lock(".kamal/lock-app"),
        grants.covers_hook("pre-deploy"),
        grants.covers_secret("DB", Sink::ContainerEnv),
        grants.covers_secret("DB", Sink::Hook),
        grants.covers_secret("OTHER", Sink::Hook),
        grants.covers_secret("TOKEN", Sink::Registry),
        grants.covers_secret("PEM", Sink::File),
    ] {
        assert_eq!(answer, Ok(()));
    }
}

#[test]
fn nothing_else_is() {
    let grants = grants(Some("eu"));
    for answer in [
        grants.covers_docker_host("web-3"),
        grants.covers_docker_host("local"),
        grants.covers_docker_host("web-1.evil.com"),
        grants.covers_container("app"),
        grants.covers_container("application-web-1"),
        grants.covers_container("other-web-1"),
        grants.covers_container("app-*"),
        grants.covers_container("kamal-proxy2"),
        grants.covers_image("ghcr.io/acme/app-evil:1"),
        grants.covers_image("acme/app:1"),
        grants.covers_image("mysql:9"),
        grants.covers_image("elastic"),
        grants.covers_network("host"),
        grants.covers_mount("/"),
        grants.covers_mount("/data/sub"),
        grants.covers_mount("/var/run/docker.sock"),
        grants.covers_mount("../out"),
        grants.covers_mount("."),
        grants.covers_mount("app-dbx/data"),
        grants.covers_option("privileged", "true"),
        grants.covers_option("cap-add", "ALL"),
        grants.covers_exec("other-web-1", &["kamal-proxy"]),
        grants.covers_exec("kamal-proxy", &["sh"]),
        grants.covers_read_file("kamal-proxy", "/etc/passwd"),
        grants.covers_command(&["true"]),
        grants.covers_write(".ssh/authorized_keys"),
        grants.covers_write("/root/.kamal/x"),
        grants.covers_lock(".kamal/lock-app"),
        grants.covers_lock(".kamal/lock-app-eu2"),
        grants.covers_hook("post-deploy"),
        grants.covers_secret("OTHER", Sink::ContainerEnv),
        grants.covers_secret("TOKEN", Sink::ContainerEnv),
        grants.covers_secret("SSH_KEY", Sink::File),
        grants.covers_fingerprint("SSH_KEY"),
    ] {
        assert!(answer.is_err());
    }
    assert_eq!(grants.covers_lock(".kamal/lock-app-eu"), Ok(()));
}

#[test]
fn what_kamal_leaves_to_the_servers_shells_is_granted_word_for_word() {
    let text = "service: app\nservers: {web: {hosts: [a], cmd: 'x $(hostname -f) && date'}}\n\
                accessories: {db: {host: a, directories: [data:/d, /srv/logs:/l]}}\n";
    let envelope = Envelope::read(&[("f", text)], None).expect("it is a map");
    let grants = Grants::from_envelope("d", &envelope, Facts::default());
    for command in ["hostname -f", ": && date"] {
        assert_eq!(grants.covers_command(&["sh", "-c", command]), Ok(()));
    }
    for words in [
        &["sh", "-c", "hostname"][..],
        &["sh", "-c", "hostname -f", "x"],
        &["hostname", "-f"],
        &["sh", "-c", "date"],
    ] {
        assert!(grants.covers_command(words).is_err(), "{words:?}");
    }
    let text = "volumes: ['$DISK/x:/x', '$PWD/y:/y']";
    let envelope = Envelope::read(&[("f", text)], None).expect("it is a map");
    let mounts = Grants::from_envelope("d", &envelope, Facts::default());
    assert_eq!(mounts.covers_mount("${DISK}/x"), Ok(()));
    assert_eq!(mounts.covers_mount("./y"), Ok(()));
    assert!(mounts.covers_mount("${DISK}/y").is_err());
    assert_eq!(grants.covers_write("/srv/logs"), Ok(()));
    assert_eq!(grants.covers_write("app-db/data"), Ok(()));
    assert!(grants.covers_write("/srv/logs/x").is_err());
    assert!(grants.covers_write("/srv").is_err());
}

#[test]
fn a_manifest_without_names_grants_next_to_nothing() {
    for text in [
        "{}",
        "service: ''",
        "service: '*'",
        "service: ../x",
        "servers: ['**', '*']\nimage: '**'\nvolumes: ['**:/x']",
    ] {
        let envelope = Envelope::read(&[("f", text)], None).expect("it is a map");
        let grants = Grants::from_envelope("d", &envelope, Facts::default());
        for answer in [
            grants.covers_docker_host("web-1"),
            grants.covers_container("a-b"),
            grants.covers_image("nginx"),
            grants.covers_mount("/etc"),
            grants.covers_mount("etc/x"),
            grants.covers_write("x"),
            grants.covers_lock(".kamal/lock-"),
            grants.covers_hook("pre-deploy"),
        ] {
            assert!(answer.is_err(), "{text}");
        }
    }
}
