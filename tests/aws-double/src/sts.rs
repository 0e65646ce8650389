//! STS: who one is, and who one may become. Keys that nobody was given are refused, and so are those that ran out. What a session was cut down to, it is.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use hyper::StatusCode;

use crate::wire::http::{Answer, answer};
use crate::wire::query::Fields;
use crate::wire::{Call, Refusal, xml};
use crate::world::World;
use crate::{id, policy};

/// Keys that were given for an assumed role.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    /// `arn:aws:sts::…:assumed-role/NAME/SESSION`.
    pub(crate) arn: String,
    pub(crate) account: String,
    pub(crate) expires: SystemTime,
    /// What the session was cut down to.
    pub(crate) policy: Option<String>,
}

/// Refuses a request whose signer is not known, or no longer.
pub(crate) fn check(world: &World, call: &Call) -> Result<(), Refusal> {
    if call.access_key.is_empty() || call.access_key == world.settings.access_key {
        return Ok(());
    }
    let is_json = !call.header("x-amz-target").is_empty();
    let session = world.state().sessions.get(&call.access_key).cloned();
    match session {
        None => Err(Refusal::new(
            if is_json {
                "UnrecognizedClientException"
            } else {
                "InvalidClientTokenId"
            },
            "The security token included in the request is invalid.",
        )
        .status(403)),
        Some(session) if session.expires <= SystemTime::now() => Err(Refusal::new(
            if is_json {
                "ExpiredTokenException"
            } else {
                "ExpiredToken"
            },
            "The security token included in the request is expired",
        )
        .status(if is_json { 400 } else { 403 })),
        Some(Session {
            policy: Some(policy),
            arn,
            ..
        }) => policy::check(world, call, &policy, &arn),
        Some(_) => Ok(()),
    }
}

/// The account a signer acts in.
pub(crate) fn account(world: &World, access_key: &str) -> String {
    let state = world.state();
    match state.sessions.get(access_key) {
        Some(session) => session.account.clone(),
        None => world.settings.account.clone(),
    }
}

/// Answers what is ours; the rest is moto's.
pub(crate) fn handle(world: &Arc<World>, call: &Call) -> Option<Answer> {
    let fields = Fields::read(&call.body);
    let action = fields.get("Action").unwrap_or_default();
    let result = match action {
        "GetCallerIdentity" => identity(world, call),
        "AssumeRole" => match assume(world, &fields) {
            Ok(result) => result,
            Err(refusal) => return Some(refusal.answer("sts", false)),
        },
        _ => return None,
    };
    let text = format!(
        "<{action}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><{action}Result>{}</{action}Result><ResponseMetadata><RequestId>{}</RequestId></ResponseMetadata></{action}Response>",
        result.done().inner(),
        id::uuid()
    );
    Some(answer(StatusCode::OK, "text/xml", text))
}

fn identity(world: &World, call: &Call) -> xml::Fields {
    let account = account(world, &call.access_key);
    let session = world.state().sessions.get(&call.access_key).cloned();
    let arn = session.map_or_else(
        || format!("arn:aws:iam::{account}:user/ada"),
        |session| session.arn,
    );
    xml::Fields::default()
        .with("Arn", arn)
        .with("UserId", &call.access_key)
        .with("Account", account)
}

fn assume(world: &World, fields: &Fields) -> Result<xml::Fields, Refusal> {
    let role = fields.get("RoleArn").unwrap_or_default();
    let name = fields.get("RoleSessionName").unwrap_or_default();
    let mut parts = role.split(':').skip(4);
    let (account, role_name) = (parts.next(), parts.next());
    let (Some(account), Some(role_name)) =
        (account, role_name.and_then(|path| path.rsplit('/').next()))
    else {
        return Err(Refusal::validation(format!("{role} is invalid")));
    };
    let policy = fields.get("Policy").map(str::to_owned);
    if let Some(text) = &policy {
        // The packed size is AWS's own secret; the plain one is limited too.
        if text.len() > 2048 {
            return Err(Refusal::validation(
                "1 validation error detected: Value at 'policy' failed to satisfy constraint: Member must have length less than or equal to 2048",
            ));
        }
        if serde_json::from_str::<serde_json::Value>(text).is_err() {
            return Err(Refusal::new(
                "MalformedPolicyDocument",
                "This policy contains invalid Json",
            ));
        }
    }
    let seconds = fields
        .get("DurationSeconds")
        .and_then(|text| text.parse().ok())
        .unwrap_or(3600);
    let lifetime = Duration::from_secs(seconds);
    let (keys, session) = begin(world, account, role_name, name, lifetime, policy);
    let (key, secret_key, token) = keys;
    let Session { arn, expires, .. } = session;
    let credentials = xml::Fields::default()
        .with("AccessKeyId", &key)
        .with("SecretAccessKey", secret_key)
        .with("SessionToken", token)
        .with("Expiration", id::timestamp(expires));
    let user = xml::Fields::default()
        .with("AssumedRoleId", format!("AROA{}:{name}", id::suffix(16)))
        .with("Arn", arn);
    Ok(xml::Fields::default()
        .nested("Credentials", credentials)
        .nested("AssumedRoleUser", user))
}

/// Access key, secret key and token.
pub(crate) type Keys = (String, String, String);

fn begin(
    world: &World,
    account: &str,
    role: &str,
    name: &str,
    lifetime: Duration,
    policy: Option<String>,
) -> (Keys, Session) {
    let key = format!("ASIA{}", id::suffix(16));
    let session = Session {
        arn: format!("arn:aws:sts::{account}:assumed-role/{role}/{name}"),
        account: account.to_owned(),
        expires: SystemTime::now() + lifetime,
        policy,
    };
    world.state().sessions.insert(key.clone(), session.clone());
    // Tests look for these words where no secret may be.
    let secret_key = format!("canary-session-secret-{}", id::hex(8));
    let token = format!("canary-session-token-{}", id::hex(24));
    ((key, secret_key, token), session)
}

/// Keys of a role that somebody of the cloud's own works as.
pub(crate) fn session(world: &World, role: &str, name: &str) -> Keys {
    let role = role.rsplit('/').next().unwrap_or_default();
    let account = world.settings.account.clone();
    begin(world, &account, role, name, Duration::from_secs(900), None).0
}
