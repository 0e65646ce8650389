//! What has to be known of a host for a request. Nothing else is looked at: every look is a call.

use crate::desired::Desired;
use crate::request::{Accessory, App, Command, Proxy, Prune, Show};

/// What is looked at on a host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// Whether there is an Engine at all.
    pub docker: bool,
    /// Containers of the service.
    pub containers: bool,
    /// Images of the service.
    pub images: bool,
    /// The network.
    pub network: bool,
    /// The proxy's container and its image.
    pub proxy: bool,
    /// What the proxy routes to.
    pub routes: bool,
    /// Accessories and their images.
    pub accessories: bool,
    /// The containers of the version to go back to.
    pub kept: bool,
    /// Names of the applications on the host.
    pub apps: bool,
    /// How the containers that work are configured, to compare them with what is wanted.
    pub configuration: bool,
}

impl Look {
    /// What a request needs of a host.
    pub fn of(command: &Command, desired: &Desired, host: &str) -> Self {
        let proxied = desired.proxies.contains_key(host);
        let routed = desired
            .roles_on(host)
            .iter()
            .any(|(_, role)| role.proxy.is_some());
        let app = Self {
            containers: true,
            routes: routed,
            ..Self::default()
        };
        let deploy = Self {
            images: true,
            network: true,
            proxy: proxied,
            configuration: true,
            ..app
        };
        let accessories = Self {
            accessories: true,
            ..Self::default()
        };
        let proxy = Self {
            proxy: proxied,
            ..Self::default()
        };
        match command {
            Command::Deploy => deploy,
            Command::Setup => Self {
                docker: true,
                accessories: true,
                ..deploy
            },
            Command::Redeploy => Self {
                images: true,
                ..app
            },
            Command::Rollback { .. } => Self { kept: true, ..app },
            Command::App(App::Boot { .. } | App::Remove | App::RemoveImages | App::Exec(_)) => {
                Self {
                    images: true,
                    ..app
                }
            }
            Command::App(
                App::Start
                | App::Stop
                | App::Live
                | App::Maintenance { .. }
                | App::StopStale
                | App::RemoveContainer { .. }
                | App::RemoveContainers
                | App::RemoveDirectories,
            ) => app,
            Command::Proxy(Proxy::Boot) => Self {
                network: true,
                ..proxy
            },
            Command::Proxy(Proxy::Remove { .. }) => Self {
                apps: true,
                ..proxy
            },
            Command::Proxy(
                Proxy::Reboot { .. }
                | Proxy::Start
                | Proxy::Stop
                | Proxy::Restart
                | Proxy::RemoveContainer
                | Proxy::RemoveImage
                | Proxy::RemoveDirectory,
            ) => proxy,
            Command::Accessory { action, .. } => Self {
                network: matches!(action, Accessory::Boot | Accessory::Reboot),
                ..accessories
            },
            Command::Prune(Prune::All | Prune::Images | Prune::Containers { .. }) => Self {
                containers: true,
                images: true,
                ..Self::default()
            },
            Command::Remove => Self {
                images: true,
                apps: proxied,
                proxy: proxied,
                accessories: true,
                ..app
            },
            Command::Bootstrap => Self {
                docker: true,
                ..Self::default()
            },
            Command::Show(show) => match show {
                Show::Details => Self {
                    proxy: proxied,
                    accessories: true,
                    ..app
                },
                Show::AppImages => Self {
                    images: true,
                    ..Self::default()
                },
                Show::AppDetails
                | Show::AppContainers
                | Show::AppVersion
                | Show::AppLogs(_)
                | Show::StaleContainers => Self {
                    images: true,
                    ..app
                },
                Show::ProxyDetails => proxy,
                Show::AccessoryDetails { .. } => accessories,
                Show::Audit
                | Show::LockStatus
                | Show::ProxyLogs(_)
                | Show::BootConfig
                | Show::AccessoryLogs { .. } => Self::default(),
            },
            Command::Proxy(Proxy::SetBootConfig(_) | Proxy::ResetBootConfig)
            | Command::LockAcquire { .. }
            | Command::LockRelease
            | Command::RegistryLogin
            | Command::RegistryLogout => Self::default(),
        }
    }

    /// Nothing at all.
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    /// The Engine has to be asked.
    pub fn needs_engine(&self) -> bool {
        let without = Self {
            docker: false,
            apps: false,
            ..*self
        };
        !without.is_nothing()
    }
}
