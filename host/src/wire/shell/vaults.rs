//! Adapters against small programs that answer as the real ones do, and write down what they were asked.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value as Json, json};

use super::Local;
use crate::secret::vault::{Wish, extract, fetch, named};

/// A folder with one program in it.
struct Bench {
    folder: PathBuf,
    environment: BTreeMap<String, String>,
}

impl Bench {
    /// `answers` are cases of a shell's `case "$*" in`.
    fn new(program: &str, answers: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("plimsoll-vault-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).expect("creates");
        let script = format!(
            "#!/bin/sh\necho \"${{BW_SESSION:+$BW_SESSION }}$*\" >> {}/asked\ncase \"$*\" in\n--version|version) ;;\n{answers}\n*) exit 9 ;;\nesac\n",
            folder.display()
        );
        let file = folder.join(program);
        fs::write(&file, script).expect("writes");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("sets the mode");
        let path = format!("{}:/usr/bin:/bin", folder.display());
        Self {
            folder,
            environment: BTreeMap::from([("PATH".to_owned(), path)]),
        }
    }

    fn fetch(&self, adapter: &str, account: &str, from: &str, names: &str) -> Result<Json, String> {
        let given = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        let wish = Wish {
            names: names.split_whitespace().map(str::to_owned).collect(),
            account: given(account),
            from: given(from),
        };
        let programs = Local {
            folder: &self.folder,
            environment: &self.environment,
        };
        let vault = named(adapter).expect("is known");
        let fetched = fetch(vault.as_ref(), &wish, &programs);
        fetched.map(Json::Object).map_err(|error| error.to_string())
    }

    /// What the program was asked, without the question whether it is there.
    fn asked(&self) -> Vec<String> {
        let asked = fs::read_to_string(self.folder.join("asked")).unwrap_or_default();
        asked.lines().skip(1).map(str::to_owned).collect()
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

#[test]
fn one_password_reads_fields_of_items_with_a_session_of_its_own() {
    let op = Bench::new(
        "op",
        r#"
"account get --account me") exit 1 ;;
"signin --account me --force --raw") echo token ;;
"item get Item --vault Vault --format json --account me --session token --fields label=A,label=Section.B")
  echo '[{"reference":"op://Vault/Item/A","value":"1"},{"reference":"op://Vault/Item/Section/B","value":"2"}]' ;;
"item get Other --vault Vault --format json --account me --session token --fields label=password")
  echo '{"reference":"op://Vault/Other/password","value":"3"}' ;;
"item get Item --vault Vault --format json --account me --session token")
  echo '{"fields":[{"reference":"op://Vault/Item/A","value":"1"},{"reference":"op://Vault/Item/C"}]}' ;;"#,
    );
    let some = op.fetch(
        "1password",
        "me",
        "op://Vault",
        "Item/A Item/Section/B Other",
    );
    let expected = json!({"Vault/Item/A": "1", "Vault/Item/Section/B": "2", "Vault/Other": "3"});
    assert_eq!(some, Ok(expected));
    let all = op.fetch("1password", "me", "Vault/Item", "");
    assert_eq!(all, Ok(json!({"Vault/Item/A": "1", "Vault/Item/C": null})));
    let missing = op.fetch("1password", "me", "Vault/Gone", "X");
    assert_eq!(
        missing,
        Err("Could not read X from Gone in the Vault 1Password vault".to_owned())
    );
}

#[test]
fn last_pass_logs_in_and_names_what_is_missing() {
    let lpass = Bench::new(
        "lpass",
        r#"
"status --color never") echo "Not logged in." ;;
"login me@x") ;;
"show F/A F/B --json") echo '[{"fullname":"F/A","password":"1"}]' ;;
"show F/A --json") echo '[{"fullname":"F/A","password":"1"}]' ;;"#,
    );
    assert_eq!(
        lpass.fetch("lastpass", "me@x", "F", "A"),
        Ok(json!({"F/A": "1"}))
    );
    assert_eq!(
        lpass.fetch("lastpass", "me@x", "F", "A B"),
        Err("Could not find F/B in LastPass".to_owned())
    );
    assert_eq!(
        lpass.fetch("lastpass", "you", "", "A"),
        Err("Failed to login to LastPass".to_owned())
    );
}

#[test]
fn bitwarden_is_unlocked_and_read_with_its_session() {
    let bw = Bench::new(
        "bw",
        r#"
status) if [ -n "$BW_SESSION" ]; then echo '{"status":"unlocked"}'; else echo '{"status":"locked"}'; fi ;;
"unlock --raw") echo s3ss ;;
sync) ;;
"get item mail") echo '{"login":{"password":"1"}}' ;;
"get item db") echo '{"login":{"password":"no"},"fields":[{"name":"user","value":"u"},{"name":"port","value":"5"}]}' ;;
"get item note") echo '{"fields":[{"name":"x","value":"y"}]}' ;;
"get item bare") echo '{"notes":"n"}' ;;"#,
    );
    assert_eq!(
        bw.fetch("bitwarden", "me", "", "mail db/user db/port note"),
        Ok(json!({"mail": "1", "db/user": "u", "db/port": "5", "note/x": "y"}))
    );
    let asked = bw.asked();
    assert_eq!(
        asked[..4],
        ["status", "unlock --raw", "s3ss status", "s3ss sync"]
    );
    assert_eq!(
        asked
            .iter()
            .filter(|line| line.contains("get item db"))
            .count(),
        1
    );
    for (names, why) in [
        (
            "db/nope",
            "Could not find field nope in item db in Bitwarden",
        ),
        (
            "bare",
            "Item bare is not a login type item and no fields were specified",
        ),
        ("gone", "Could not read gone from Bitwarden"),
    ] {
        assert_eq!(bw.fetch("bitwarden", "me", "", names), Err(why.to_owned()));
    }
}

#[test]
fn bitwarden_sm_lists_projects_and_gets_single_secrets() {
    let bws = Bench::new(
        "bws",
        r#"
"project list") ;;
"secret list") echo '[{"key":"A","value":"1"},{"key":"B","value":"2"}]' ;;
"secret list p1") echo '[{"key":"B","value":"2"}]' ;;
"secret get id-1") echo '{"key":"C","value":"3"}' ;;"#,
    );
    for (from, names, fetched) in [
        ("", "all", json!({"A": "1", "B": "2"})),
        ("p1", "all", json!({"B": "2"})),
        ("", "p1/all", json!({"B": "2"})),
        ("", "id-1", json!({"C": "3"})),
    ] {
        assert_eq!(
            bws.fetch("bitwarden-sm", "", from, names),
            Ok(fetched),
            "{from} {names}"
        );
    }
    let nothing = bws.fetch("bitwarden-sm", "", "", "");
    let why = "You must specify what to retrieve from Bitwarden Secrets Manager";
    assert_eq!(nothing, Err(why.to_owned()));
}

#[test]
fn aws_takes_objects_apart_and_passes_errors_on() {
    let aws = Bench::new(
        "aws",
        r#"
"secretsmanager batch-get-secret-value --secret-id-list app/db plain --profile prod --output json")
  echo '{"SecretValues":[{"Name":"app/db","SecretString":"{\"user\":\"u\",\"port\":5}"},{"Name":"plain","SecretString":"hi there"}],"Errors":[]}' ;;
"secretsmanager batch-get-secret-value --secret-id-list gone --output json")
  echo '{"SecretValues":[],"Errors":[{"SecretId":"gone","Message":"no such secret"}]}' ;;"#,
    );
    assert_eq!(
        aws.fetch("aws_secrets_manager", "prod", "", "app/db plain"),
        Ok(json!({"app/db/user": "u", "app/db/port": "5", "plain": "hi there"}))
    );
    assert_eq!(
        aws.fetch("aws_secrets_manager", "", "", "gone"),
        Err("gone: no such secret".to_owned())
    );
    assert_eq!(
        aws.fetch("aws_secrets_manager", "", "", "x"),
        Err("Could not read [\"x\"] from AWS Secrets Manager".to_owned())
    );
}

#[test]
fn doppler_takes_project_and_configuration_or_a_service_token() {
    let mut doppler = Bench::new(
        "doppler",
        r#"
"me --json") ;;
"secrets get A B --json -p app -c prd") echo '{"A":{"computed":"1","raw":"x"},"B":{"computed":"2"}}' ;;
"secrets get A --json") echo '{"A":{"computed":"3"}}' ;;"#,
    );
    let both = doppler.fetch("doppler", "", "app/prd", "A B");
    assert_eq!(both, Ok(json!({"A": "1", "B": "2"})));
    assert_eq!(
        doppler.fetch("doppler", "", "", "A"),
        Err("Missing project or config from '--from=project/config' option".to_owned())
    );
    doppler
        .environment
        .insert("DOPPLER_TOKEN".into(), "dp.st.prd.x".into());
    assert_eq!(doppler.fetch("doppler", "", "", "A"), Ok(json!({"A": "3"})));
}

#[test]
fn enpass_finds_titles_and_labels() {
    let enpass = Bench::new(
        "enpass-cli",
        r#"
"-json -vault /v show Foo Bar")
  echo '[{"title":"Foo","label":"DB","password":"1"},{"title":"Foo","label":"X","password":"2"},{"title":"Bar","label":"","password":"3"}]' ;;
"-json -vault /v show Foo")
  echo '[{"title":"Foo","label":"DB","password":"1"},{"title":"Foo","label":"DB","password":"2"}]' ;;"#,
    );
    let found = enpass.fetch("enpass", "", "/v", "Foo/DB Bar");
    assert_eq!(found, Ok(json!({"Foo/DB": "1", "Bar": "3"})));
    let twice = enpass.fetch("enpass", "", "/v", "Foo");
    assert_eq!(twice, Err("Foo/DB is present more than once".to_owned()));
}

#[test]
fn gcp_reads_versions_as_users_and_service_accounts() {
    let gcloud = Bench::new(
        "gcloud",
        r#"
"auth list --format=json") echo '[{"account":"me"}]' ;;
"secrets versions access latest --secret=a --format=json") echo '{"payload":{"data":"c2VjcmV0"}}' ;;
"secrets versions access 3 --secret=a --project=p --account=me@x --impersonate-service-account=s1,s2 --format=json")
  echo '{"payload":{"data":"dGhpcmQ="}}' ;;"#,
    );
    let plain = gcloud.fetch("gcp", "default", "", "a");
    assert_eq!(plain, Ok(json!({"default/a": "secret"})));
    let chain = gcloud.fetch("gcp", "me@x|s1,s2", "p", "a/3");
    assert_eq!(chain, Ok(json!({"p/a": "third"})));
    let gone = gcloud.fetch("gcp", "default", "", "gone");
    assert_eq!(
        gone,
        Err("Could not read default/gone from Google Secret Manager".to_owned())
    );
}

#[test]
fn passbolt_descends_into_folders() {
    let passbolt = Bench::new(
        "passbolt",
        r#"
verify) ;;
'list folders --filter Name == "top" --json') echo '[{"id":"1","name":"top","folder_parent_id":""}]' ;;
'list folders --filter Name == "in" && FolderParentID == "1" --json') echo '[{"id":"2","name":"in","folder_parent_id":"1"}]' ;;
'list resources --filter (Name == "A" && FolderParentID == "2") || Name == "B" --folder 1 --folder 2 --column name --column password --json')
  echo '[{"name":"A","password":"1"},{"name":"B","password":"2"}]' ;;
'list folders --filter Name == "no" --json') echo '[]' ;;
'list resources --filter Name == "Z" --column name --column password --json') echo '[]' ;;"#,
    );
    let found = passbolt.fetch("passbolt", "", "", "top/in/A B");
    assert_eq!(found, Ok(json!({"A": "1", "B": "2"})));
    for (names, why) in [
        (
            "no/X",
            "Could not find the following folders in Passbolt: no",
        ),
        ("Z", "Could not find the following secrets in Passbolt: Z"),
    ] {
        assert_eq!(
            passbolt.fetch("passbolt", "", "", names),
            Err(why.to_owned())
        );
    }
}

#[test]
fn a_program_that_is_not_there_is_named_and_so_is_an_unknown_vault() {
    let nothing = Bench::new("other", "");
    for (adapter, name) in [
        ("1password", "1Password CLI"),
        ("lastpass", "LastPass CLI"),
        ("bitwarden", "Bitwarden CLI"),
        ("bitwarden-sm", "Bitwarden Secrets Manager CLI"),
        ("doppler", "Doppler CLI"),
        ("enpass", "Enpass CLI"),
        ("passbolt", "Passbolt CLI"),
    ] {
        let refused = nothing.fetch(adapter, "me", "a/b", "c");
        assert_eq!(refused, Err(format!("{name} is not installed")));
    }
    let unknown = named("sticky-note")
        .err()
        .expect("there is none")
        .to_string();
    assert!(
        unknown.starts_with("Unknown secrets adapter: sticky-note\nhint: "),
        "{unknown}"
    );
    let reversed = nothing.fetch("test", "me", "", "terces");
    assert_eq!(reversed, Ok(json!({"terces": "secret"})));
}

#[test]
fn one_secret_is_taken_out_by_its_name_or_the_end_of_its_path() {
    let fetched = r#"{"a/B": "1", "B": "2", "c/D": "3", "n": 5}"#;
    for (name, value) in [("B", "2"), ("a/B", "1"), ("D", "3"), ("n", "5")] {
        assert_eq!(extract(name, fetched).as_deref(), Ok(value));
    }
    let missing = extract("X", fetched).expect_err("is not there");
    assert_eq!(missing.to_string(), "Could not find secret X");
}
