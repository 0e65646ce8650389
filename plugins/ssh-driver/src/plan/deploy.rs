//! Everything that boots the application: what each command does of it, in Kamal's order.

use crate::plan::{
    Input, Note, Proposal, Refusal, accessory, boot, bootstrap, files, finish, prepare, prune,
};
use crate::request::{App, Command};

/// What of a deploy a command does.
struct Extent {
    /// Boots what is there already and as wanted, too.
    always: bool,
    /// Installs Docker, boots accessories.
    setup: bool,
    /// Pulls images.
    pull: bool,
    /// Sees to the network and the proxy.
    proxy: bool,
    /// Stops containers that an earlier deploy left running.
    stale: bool,
    /// Runs the hooks before and after it.
    hooks: bool,
    /// Prunes.
    prune: bool,
}

impl Extent {
    fn of(command: &Command) -> Self {
        let all = Self {
            always: false,
            setup: false,
            pull: true,
            proxy: true,
            stale: true,
            hooks: true,
            prune: true,
        };
        match command {
            Command::Setup => Self { setup: true, ..all },
            Command::Redeploy => Self {
                always: true,
                proxy: false,
                prune: false,
                ..all
            },
            Command::Rollback { .. } => Self {
                always: true,
                pull: false,
                proxy: false,
                stale: false,
                prune: false,
                ..all
            },
            Command::App(App::Boot { .. }) => Self {
                always: true,
                pull: false,
                proxy: false,
                stale: false,
                hooks: false,
                prune: false,
                ..all
            },
            Command::Deploy
            | Command::App(_)
            | Command::Proxy(_)
            | Command::Accessory { .. }
            | Command::Prune(_)
            | Command::LockAcquire { .. }
            | Command::LockRelease
            | Command::Bootstrap
            | Command::Remove
            | Command::RegistryLogin
            | Command::RegistryLogout
            | Command::Show(_) => all,
        }
    }
}

/// Steps of a deploy; none when nothing differs.
pub fn plan(input: &Input<'_>) -> Result<Proposal, Refusal> {
    let extent = Extent::of(&input.request.command);
    let hosts = input.desired.hosts();
    for host in &hosts {
        input.facts(host)?;
    }
    let mut notes: Vec<Note> = Vec::new();
    if extent.proxy {
        notes.extend(
            hosts
                .iter()
                .filter_map(|host| prepare::changed_proxy(input, host)),
        );
    }
    let always = extent.always || input.request.reboot;
    let (boots, kept) = boot::plan(input, always)?;
    notes.extend(kept);
    let prepared = hosts
        .iter()
        .map(|host| prepare::plan(input, host, extent.proxy, extent.stale));
    let prepared: Vec<_> = prepared
        .collect::<Result<Vec<_>, _>>()?
        .into_iter()
        .flatten()
        .collect();
    let bootstrapped = match extent.setup {
        true => bootstrap::plan(input, &input.desired.all_hosts())?,
        false => Vec::new(),
    };
    let accessories = match extent.setup {
        true => accessory::boot(input, &input.desired.accessories_named("all"), &mut notes)?,
        false => Vec::new(),
    };
    let due = hosts
        .iter()
        .any(|host| prepare::is_due(input, host, extent.proxy, extent.stale));
    if boots.is_empty() && !due && bootstrapped.is_empty() && accessories.is_empty() {
        return Ok(Proposal {
            steps: Vec::new(),
            notes,
        });
    }
    let mut steps = bootstrapped;
    if extent.pull {
        steps.extend(
            hosts
                .iter()
                .filter_map(|host| prepare::images(input, host, &boots)),
        );
    }
    if matches!(input.request.command, Command::App(App::Boot { .. })) {
        for host in &hosts {
            steps.extend(prepare::missing_images(input, host, &boots)?);
        }
    }
    if extent.hooks {
        steps.extend(input.hook("pre-deploy", None));
    }
    steps.extend(prepared);
    steps.extend(accessories);
    steps.extend(
        hosts
            .iter()
            .filter_map(|host| files::plan(input, host, &boots)),
    );
    steps.extend(boot::in_groups(input, &boots));
    if !boots.is_empty() {
        let (mut finished, mut images) = (Vec::new(), Vec::new());
        for host in &hosts {
            let booted: Vec<_> = boots.iter().filter(|(at, _)| at == host).collect();
            let tag = finish::tag(input, host);
            let prune = match extent.prune {
                true => Some(prune::after_boots(input, host, &booted)?),
                false => None,
            };
            let [finish, rest] = finish::steps(input, host, tag, prune);
            finished.extend(finish);
            images.extend(rest);
        }
        steps.extend(finished);
        steps.extend(images);
    }
    if extent.setup {
        steps.extend(prune::besides(input)?);
    }
    let mut steps = input.locked(&hosts, steps)?;
    if extent.hooks {
        steps.extend(input.hook("post-deploy", None));
    }
    Ok(Proposal { steps, notes })
}
