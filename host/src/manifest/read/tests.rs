use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::secret::Redactor;

/// A folder that goes away with the test.
struct Folder(PathBuf);

impl Folder {
    fn with(name: &str, files: &[(&str, &str)]) -> Self {
        let id = format!("plimsoll-{}-{name}", std::process::id());
        let root = std::env::temp_dir().join(id);
        let _ = fs::remove_dir_all(&root);
        fs::create_dir_all(&root).expect("the temporary folder is writable");
        let folder = Self(root);
        for (path, text) in files {
            folder.write(path, text.as_bytes());
        }
        folder
    }

    fn write(&self, path: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.join(path);
        fs::create_dir_all(path.parent().expect("it has a folder")).expect("writable");
        fs::write(&path, bytes).expect("writable");
        path
    }

    fn find(&self, destination: Option<&str>) -> Result<Project, Box<FindError>> {
        self.find_file(None, destination)
    }

    fn find_file(
        &self,
        file: Option<&str>,
        destination: Option<&str>,
    ) -> Result<Project, Box<FindError>> {
        let environment = BTreeMap::from([("KAMAL_DESTINATION".to_owned(), "outer".to_owned())]);
        let outside = Outside {
            environment,
            run: &|command, folder, environment| {
                let destination = environment.get("KAMAL_DESTINATION");
                Ok(format!(
                    "{command} in {} for {destination:?}",
                    folder.display()
                ))
            },
            docker_arch: &|| Err("no Docker".to_owned()),
        };
        Project::find(&self.0, file.map(Path::new), destination, outside)
    }

    fn refusal(&self, destination: Option<&str>) -> String {
        match self.find(destination) {
            Ok(_) => panic!("it was found"),
            Err(error) => error.show().replace(&self.0.display().to_string(), "ROOT"),
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_project_is_read_whole() {
    let folder = Folder::with(
        "whole",
        &[
            (
                "config/deploy.yml",
                "service: app\nservers: [a]\nx: <%= ENV['KAMAL_DESTINATION'] %>\n",
            ),
            (
                "config/deploy.eu.yml",
                "servers: [<%= `hosts` %>]\nregistry: {password: <%= `token` %>}\n",
            ),
            (".kamal/secrets-common", "A=1"),
            (".kamal/secrets", "A=2"),
            (".kamal/secrets.eu", "A=3\nB=$(b)"),
            (".kamal/hooks/pre-deploy", "#!/bin/sh"),
            (".kamal/hooks/pre-build.sample", ""),
            (".kamal/hooks/docker-setup", ""),
            ("plimsoll.yml", "commands: [hosts, token]\n"),
        ],
    );
    let hook = folder.0.join(".kamal/hooks/pre-deploy");
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).expect("it is ours");
    let project = folder.find(Some("eu")).expect("it is all there");

    assert_eq!(project.files[0].text, "service: app\nservers: [a]\nx: eu\n");
    let expected = format!("hosts in {} for Some(\"eu\")", folder.0.display());
    assert_eq!(project.envelope.hosts, [expected.as_str()]);
    let hooks: Vec<_> = project
        .hooks
        .iter()
        .map(|hook| (hook.name.as_str(), hook.executable))
        .collect();
    assert_eq!(hooks, [("docker-setup", false), ("pre-deploy", true)]);

    let secrets = project.secrets(Box::new(|command| Ok(format!("<{command}>"))));
    assert_eq!(secrets.get("A").map(Secret::expose), Ok("3"));
    assert_eq!(secrets.get("B").map(Secret::expose), Ok("<b>"));
    let hidden = project.hidden();
    let redactor = Redactor::new(hidden.iter().map(|(name, secret)| (name.as_str(), secret)));
    let shown = redactor.redact(&format!(
        "{expected} token in {} for Some(\"eu\")",
        folder.0.display()
    ));
    assert!(
        shown.starts_with(&expected),
        "an answer that is no password stays"
    );
    assert!(shown.ends_with("[redacted:token]"), "{shown}");

    let plain = folder.find(None).expect("it is all there");
    assert_eq!(plain.files[0].text, "service: app\nservers: [a]\nx: \n");
    assert_eq!(plain.envelope.hosts, ["a"]);
}

#[test]
fn a_missing_configuration_says_what_was_looked_for_and_the_cure() {
    let folder = Folder::with("missing", &[("sub/x", "")]);
    assert_eq!(
        folder.refusal(None),
        "error[file-missing]: Configuration file not found in ROOT/config/deploy.yml\n  \
         = help: run plimsoll in the folder of your project, or say which file to use with -c FILE\n"
    );
    folder.write("config/deploy.yml", b"service: app");
    let below = Folder(folder.0.join("sub"));
    assert!(
        below
            .refusal(None)
            .contains("run plimsoll there, or say -c FILE")
    );
    std::mem::forget(below);
    let other = folder.find_file(Some("config/other.yml"), None);
    assert!(other.is_err_and(|error| error.to_string().contains("config/other.yml")));
}

#[test]
fn a_missing_destination_names_those_that_exist() {
    let folder = Folder::with(
        "destination",
        &[
            ("config/deploy.yml", "service: app"),
            ("config/deploy.staging.yml", "a: 1"),
        ],
    );
    assert!(
        folder
            .refusal(Some("stagign"))
            .contains("help: did you mean -d staging?")
    );
    let other = folder.refusal(Some("production"));
    assert!(other.contains("config/deploy.production.yml"), "{other}");
    assert!(
        other.contains("destinations of this project: staging"),
        "{other}"
    );
    for name in ["", "../x", "a/b"] {
        assert!(folder.refusal(Some(name)).contains("file name"), "{name}");
    }
}

#[test]
fn a_copilot_workspace_is_told_apart() {
    let folder = Folder::with("copilot", &[("copilot/.workspace", "application: x")]);
    assert!(folder.refusal(None).contains("Copilot workspace"));
}

#[test]
fn broken_files_are_shown_at_the_authors_line() {
    for (name, text, expected) in [
        ("yaml", "service: app\nx: [\n", "2 | x: [\n  |     ^\n"),
        (
            "erb",
            "service: <%= ENV.fetch(\"NOPE\") %>\n",
            "--> config/deploy.yml:1:14\n  |\n1 | service: <%= ENV.fetch(\"NOPE\") %>\n  |              ^^^^^^^^^^^^^^^^^\n",
        ),
        (
            // The broken value comes out of a tag; the tag is shown, not what it yields.
            "value",
            "# one\n<%# gone -%>\nservice: <%= \"a: 'b\" %>\n",
            "--> config/deploy.yml:3:10\n  |\n3 | service: <%= \"a: 'b\" %>\n",
        ),
        ("arch", "a: <%= Kamal::Utils.docker_arch %>", "no Docker"),
        ("list", "- a\n", "--> config/deploy.yml:1:1\n"),
    ] {
        let folder = Folder::with(name, &[("config/deploy.yml", text)]);
        let shown = folder.refusal(None);
        assert!(shown.contains(expected), "{name}:\n{shown}");
    }
    let folder = Folder::with(
        "commands",
        &[
            ("config/deploy.yml", "a: 1"),
            ("plimsoll.yml", "commands: x\n"),
        ],
    );
    assert!(
        folder
            .refusal(None)
            .contains("1 | commands: x\n  |           ^\n")
    );
}

#[test]
fn files_that_are_not_text_are_refused() {
    let folder = Folder::with("binary", &[]);
    folder.write("config/deploy.yml", b"a: 1\nb: \xff\n");
    assert!(
        folder
            .refusal(None)
            .contains("deploy.yml is not UTF-8 text (line 2)")
    );
    folder.write("config/deploy.yml", &vec![b'#'; 1024 * 1024 + 1]);
    assert!(folder.refusal(None).contains("is larger than 1 MiB"));
    folder.write("config/deploy.yml", b"\xef\xbb\xbfservice: app\n");
    assert_eq!(
        folder
            .find(None)
            .expect("a mark is no harm")
            .envelope
            .service,
        "app"
    );
}
