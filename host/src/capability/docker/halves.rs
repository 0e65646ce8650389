//! Calls in two halves, so that something else can be done beside each: the first half is checked as the whole and uses
//! the promise up, the second is made through what the first one gave, and only once.

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value as Json, json};

use super::spec::{covers_spec, create};
use super::write::{exec_call, gone, ready, told};
use super::{Opened, failed};
use crate::capability::session::{Call, Half, Session};
use crate::wire::docker::Removal;
use crate::wire::{self, docker};
use crate::wit::docker::{ContainerSpec, Output};
use crate::wit::types::{CapError, Part};

/// A container that was created, and is not started yet.
#[derive(Clone)]
pub struct Created {
    session: Arc<Session>,
    engine: wire::Engine,
    host: String,
    effect: String,
    name: String,
    id: String,
    open: Arc<Once<()>>,
}

/// A command that is ready, and does not run yet.
#[derive(Clone)]
pub struct Prepared {
    session: Arc<Session>,
    host: String,
    effect: String,
    container: String,
    ready: Arc<Once<docker::Prepared>>,
}

/// What is there for the first who takes it.
struct Once<T>(Mutex<Option<T>>);

impl<T> Once<T> {
    fn new(value: T) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Some(value))))
    }

    fn take(&self, effect: &str) -> Result<T, CapError> {
        let taken = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        taken.ok_or_else(|| {
            CapError::NotPlanned(format!(
                "the second half of effect `{effect}` was made before"
            ))
        })
    }
}

/// The first half of `run`.
pub(super) async fn created(
    opened: Opened,
    effect: String,
    spec: ContainerSpec,
) -> Result<Created, CapError> {
    let call = super::write::run_call(&opened, effect.clone(), &spec);
    let scope = covers_spec(&opened, &spec);
    let Opened {
        session,
        engine,
        host,
    } = opened;
    let (powers, far, at, name) = (
        session.clone(),
        engine.clone(),
        host.clone(),
        spec.name.clone(),
    );
    let slot = format!("created/{effect}");
    let work = async move {
        let id = create(&powers, &far, &at, &spec).await?;
        powers.run.fill(slot, id.clone());
        Ok(id)
    };
    let id = session.mutate(call, scope, work).await?;
    Ok(Created {
        session,
        engine,
        host,
        effect,
        name,
        id,
        open: Once::new(()),
    })
}

impl Created {
    fn call(&self, operation: &'static str) -> Call {
        half(
            &self.effect,
            operation,
            &self.host,
            json!({"name": self.name}),
        )
    }

    /// The second half.
    pub(super) async fn start(&self) -> Result<String, CapError> {
        self.open.take(&self.effect)?;
        let (engine, name, id) = (self.engine.clone(), self.name.clone(), self.id.clone());
        let work = async move { engine.start(&name).await.map(|()| id).map_err(failed) };
        let call = self.call("docker.run.start");
        self.session.go_on(call, Half::Begins, work).await
    }

    /// Instead of it.
    pub(super) async fn discard(&self) -> Result<(), CapError> {
        self.open.take(&self.effect)?;
        let (engine, name) = (self.engine.clone(), self.name.clone());
        let work = async move { gone(engine.remove(&name, Removal::OnlyStopped).await) };
        let call = self.call("docker.run.discard");
        self.session.go_on(call, Half::GivesBack, work).await
    }
}

/// The first half of `exec`.
pub(super) async fn prepared(
    opened: Opened,
    effect: String,
    container: String,
    user: Option<String>,
    command: Vec<Vec<Part>>,
) -> Result<Prepared, CapError> {
    let (call, scope) = exec_call(
        &opened,
        effect.clone(),
        &container,
        user.as_deref(),
        &command,
    );
    let Opened {
        session,
        engine,
        host,
    } = opened;
    let (powers, at, inside) = (session.clone(), host.clone(), container.clone());
    let work = async move { ready(&powers, &engine, &at, &inside, user, &command).await };
    let ready = Once::new(session.mutate(call, scope, work).await?);
    Ok(Prepared {
        session,
        host,
        effect,
        container,
        ready,
    })
}

impl Prepared {
    /// The second half.
    pub(super) async fn run(&self) -> Result<Output, CapError> {
        let ready = self.ready.take(&self.effect)?;
        let powers = self.session.clone();
        let work = async move {
            let output = ready.run().await.map_err(failed)?;
            Ok(told(&powers, &output))
        };
        let arguments = json!({"container": self.container});
        let call = half(&self.effect, "docker.exec.start", &self.host, arguments);
        self.session.go_on(call, Half::Begins, work).await
    }
}

fn half(effect: &str, operation: &'static str, host: &str, arguments: Json) -> Call {
    Call {
        effect: effect.to_owned(),
        operation,
        subject: host.to_owned(),
        arguments,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_half_is_made_once() {
        let half = Once::new(1);
        assert_eq!(half.take("run").ok(), Some(1));
        let error = half.take("run").expect_err("it was taken");
        assert!(matches!(error, CapError::NotPlanned(why) if why.contains("`run`")));
    }
}
