//! Starting and stopping a double, and what tests ask of it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::time::Duration;

use lab::LabError;
use lab::aws::name::{For, Name};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use crate::cloudformation::Template;
use crate::control;
use crate::record::Request;
use crate::registry::Registry;
use crate::rule::Rule;
use crate::world::{Settings, World, milliseconds};
use crate::{id, moto, registry, server};

/// How a double is to be.
#[derive(Debug, Clone)]
pub struct Options {
    /// The account. One that nobody else uses, when not said: what moto keeps is apart by account.
    pub account: Option<String>,
    /// The region of clients that don't say.
    pub region: String,
    /// Where to listen on 127.0.0.1; 0 for any.
    pub port: u16,
    /// Whether images can be pushed: the account is then one whose registry's name leads to this machine.
    pub registry: Pushes,
    /// Whether functions of stacks are run with node; they are imitated otherwise.
    pub runs_functions: bool,
    /// Whether moto answers what the double does not: SSM, S3, ECR. It is started when it does not run.
    pub has_moto: bool,
    /// How long a resource takes.
    pub resource_time: Duration,
    /// How long a task of an ECS service takes to start, to become steady, or to fail.
    pub task_time: Duration,
    /// How long CloudFormation waits for an ECS service without a circuit breaker.
    pub stabilise: Duration,
    /// Events, exports, … a page.
    pub page: usize,
}

/// Whether images can be pushed, and to which registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pushes {
    /// They can't.
    No,
    /// To the one of `cargo lab aws up`.
    ForPeople,
    /// To one that no other test uses at this time.
    ForTest,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            account: None,
            region: "eu-west-1".to_owned(),
            port: 0,
            registry: Pushes::No,
            runs_functions: false,
            has_moto: true,
            resource_time: Duration::from_millis(5),
            task_time: Duration::from_millis(30),
            stabilise: Duration::from_secs(10),
            page: 100,
        }
    }
}

/// An AWS of one's own, gone when dropped.
pub struct Double {
    pub(crate) world: Arc<World>,
    /// The registry and its name, where there is one.
    _registry: Option<(Arc<Registry>, Name)>,
    runtime: Option<Runtime>,
}

impl Double {
    /// Starts one.
    pub fn start(options: Options) -> Result<Self, LabError> {
        let moto = if options.has_moto {
            Some(lab::aws::moto()?)
        } else {
            None
        };
        let name = match options.registry {
            Pushes::No => None,
            Pushes::ForPeople => Some(lab::aws::name::name(For::People)?),
            Pushes::ForTest => Some(lab::aws::name::name(For::Test)?),
        };
        let node = options.runs_functions.then(lab::node::node).transpose()?;
        let failed = |what: &str| {
            let what = what.to_owned();
            move |error: std::io::Error| LabError::Step(format!("{what}: {error}"))
        };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .map_err(failed("start threads"))?;
        let named = name.as_ref().map(|name| name.account.clone());
        let account = options.account.or(named).unwrap_or_else(random_account);
        let settings = Settings {
            account,
            region: options.region,
            page: options.page,
            has_registry: name.is_some(),
            node,
            stabilise: options.stabilise,
            moto,
            access_key: format!("AKIA{}", id::suffix(16)),
            // Tests look for this word where no secret may be.
            secret_key: format!("canary-owner-secret-{}", id::hex(10)),
        };
        let world = World::new(settings, options.resource_time, options.task_time);
        let address = SocketAddr::from(([127, 0, 0, 1], options.port));
        let listener = std::net::TcpListener::bind(address).map_err(failed("listen"))?;
        let address = listener.local_addr().map_err(failed("listen"))?;
        listener.set_nonblocking(true).map_err(failed("listen"))?;
        world.address.set(address).expect("it is set once");
        let _inside = runtime.enter();
        let listener = TcpListener::from_std(listener).map_err(failed("listen"))?;
        let serving = world.clone();
        runtime.spawn(async move { server::serve(serving, listener).await });
        let registry = match name {
            None => None,
            Some(name) => {
                let registry = Arc::new(Registry::start()?);
                let listener = registry::listen(name.address)?;
                let listener = TcpListener::from_std(listener).map_err(failed("listen"))?;
                let (world, shared) = (world.clone(), registry.clone());
                runtime.spawn(async move { registry::serve(world, shared, listener).await });
                Some((registry, name))
            }
        };
        drop(_inside);
        let double = Self {
            world,
            _registry: registry,
            runtime: Some(runtime),
        };
        if double.world.settings.has_registry {
            // Somebody had this account before.
            double.forget_account()?;
        }
        Ok(double)
    }

    /// `http://127.0.0.1:PORT`.
    pub fn endpoint(&self) -> String {
        let address = self
            .world
            .address
            .get()
            .expect("it listens since it started");
        format!("http://{address}")
    }

    /// The account that its keys belong to.
    pub fn account(&self) -> &str {
        &self.world.settings.account
    }

    /// The region of clients that don't say.
    pub fn region(&self) -> &str {
        &self.world.settings.region
    }

    /// Access key and secret key of the account's owner.
    pub fn keys(&self) -> (&str, &str) {
        let settings = &self.world.settings;
        (&settings.access_key, &settings.secret_key)
    }

    /// What an SDK reads to come here.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let (access_key, secret_key) = self.keys();
        vec![
            ("AWS_ENDPOINT_URL", self.endpoint()),
            ("AWS_ACCESS_KEY_ID", access_key.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", secret_key.to_owned()),
            ("AWS_REGION", self.region().to_owned()),
            ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
        ]
    }

    /// How long a resource takes from now on.
    pub fn set_resource_time(&self, time: Duration) {
        let time = milliseconds(time);
        self.world.resource_ms.store(time, Ordering::Relaxed);
    }

    /// How long a task takes from now on.
    pub fn set_task_time(&self, time: Duration) {
        self.world
            .task_ms
            .store(milliseconds(time), Ordering::Relaxed);
    }

    /// Lets something go wrong.
    pub fn rule(&self, rule: Rule) {
        self.world.state().rules.push(rule);
    }

    /// Nothing goes wrong any more.
    pub fn forget_rules(&self) {
        self.world.state().rules.clear();
    }

    /// Every request so far.
    pub fn requests(&self) -> Vec<Request> {
        self.world.state().requests.clone()
    }

    /// Forgets the requests so far.
    pub fn forget_requests(&self) {
        self.world.state().requests.clear();
    }

    /// How often an operation was called.
    pub fn count(&self, service: &str, action: &str) -> usize {
        let state = self.world.state();
        let is_it = |request: &&Request| request.service == service && request.action == action;
        state.requests.iter().filter(is_it).count()
    }

    /// Keys of assumed roles are no longer good.
    pub fn expire_sessions(&self) {
        control::expire(&self.world);
    }

    /// Session policies that were given when roles were assumed, in no order.
    pub fn session_policies(&self) -> Vec<Option<String>> {
        let state = self.world.state();
        state
            .sessions
            .values()
            .map(|session| session.policy.clone())
            .collect()
    }

    /// Puts a stack into a state, as if it had come to it.
    pub fn set_stack_status(&self, name: &str, status: &str, reason: &str) {
        control::set_status(&self.world, name, status, Some(reason)).expect("the stack exists");
    }

    /// The state of a stack, also of one that was deleted; nothing when there never was one.
    pub fn stack_status(&self, name: &str) -> Option<String> {
        let state = self.world.state();
        let mut newest_first = state.stacks.iter().rev();
        newest_first
            .find(|stack| stack.name == name)
            .map(|stack| stack.status.clone())
    }

    /// A stack's tags.
    pub fn stack_tags(&self, name: &str) -> Vec<(String, String)> {
        let state = self.world.state();
        let stack = state.stacks.iter().rev().find(|stack| stack.name == name);
        stack.map_or_else(Vec::new, |stack| stack.version.tags.clone())
    }

    /// A stack's template, as it was given.
    pub fn stack_template(&self, name: &str) -> Option<String> {
        let state = self.world.state();
        let stack = state.stacks.iter().rev().find(|stack| stack.name == name)?;
        let template = stack.version.template.as_ref()?;
        Some(template.body.clone())
    }

    /// Another text in a stack's template, as if that had been deployed.
    pub fn rewrite_stack(&self, name: &str, from: &str, to: &str) {
        let mut state = self.world.state();
        let mut newest_first = state.stacks.iter_mut().rev();
        let stack = newest_first.find(|stack| stack.name == name);
        let version = &mut stack.expect("the stack exists").version;
        let template = version.template.as_ref().expect("it was deployed");
        let body = template.body.replace(from, to);
        version.template = Some(Template::read(&body).expect("it is still a template"));
        for resource in &mut version.resources {
            let text = resource.properties.to_string().replace(from, to);
            resource.properties = serde_json::from_str(&text).expect("it is still JSON");
        }
    }

    /// The value of a stack's parameter.
    pub fn stack_parameter(&self, name: &str, parameter: &str) -> Option<String> {
        let state = self.world.state();
        let stack = state.stacks.iter().rev().find(|stack| stack.name == name)?;
        let mut all = stack.version.parameters.iter();
        all.find(|(key, _)| key == parameter)
            .map(|(_, value)| value.clone())
    }

    /// Resource and reason of the first failure of a stack's resources since the last operation began.
    pub fn failure(&self, name: &str) -> Option<String> {
        let state = self.world.state();
        let stack = state.stacks.iter().rev().find(|stack| stack.name == name)?;
        let begins = |status: &str| matches!(status, "CREATE_IN_PROGRESS" | "UPDATE_IN_PROGRESS");
        let begun = stack
            .events
            .iter()
            .rposition(|event| event.physical == stack.id && begins(&event.status))?;
        let mut since = stack.events.iter().skip(begun);
        let failed = since.find(|event| event.status.ends_with("_FAILED"))?;
        let reason = failed.reason.as_deref().unwrap_or_default();
        Some(format!("{}: {reason}", failed.resource))
    }

    /// Waits until a stack has come to rest, and says in which state.
    pub fn wait(&self, name: &str, limit: Duration) -> Result<String, LabError> {
        let (world, name) = (self.world.clone(), name.to_owned());
        self.run(async move { control::wait(&world, &name, limit).await })
            .map_err(LabError::Step)
    }

    /// What moto keeps for the account is gone.
    pub fn forget_account(&self) -> Result<(), LabError> {
        let world = self.world.clone();
        self.run(async move { moto::forget(&world).await })
            .map_err(LabError::Step)
    }

    /// Lets moto know that somebody is still there.
    pub fn keep_moto(&self) {
        let world = self.world.clone();
        self.run(async move { moto::touch(&world).await });
    }

    /// Does something on the double's own threads; works inside of other runtimes too.
    pub(crate) fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> T {
        let (told, done) = mpsc::channel();
        let runtime = self.runtime.as_ref().expect("it is there until dropped");
        runtime.spawn(async move {
            let _ = told.send(work.await);
        });
        done.recv().expect("what runs here does not panic")
    }
}

impl Drop for Double {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Waiting is not allowed where a test is asynchronous itself.
            runtime.shutdown_background();
        }
    }
}

/// Twelve digits nobody has used.
fn random_account() -> String {
    let number = u64::from_str_radix(&id::hex(7), 16).unwrap_or_default();
    format!("{:012}", 100_000_000_000 + number % 800_000_000_000)
}
