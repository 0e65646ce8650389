//! The generated bindings of `wit/`, nothing else.
//!
//! [`driver`] has the whole vocabulary; the other roles reuse its types.
#![expect(missing_docs, reason = "generated from the documented WIT")]

pub use driver::plimsoll::deploy::{
    clock, cloudformation, docker, ecs, hook, interruption, lock, log, logs, progress, s3, secrets,
    ssh, types,
};

/// World `driver-plugin`.
pub mod driver {
    wasmtime::component::bindgen!({
        path: "../wit",
        world: "driver-plugin",
        imports: { default: trappable },
        with: {
            "plimsoll:deploy/cloudformation.stack": crate::capability::aws::cloudformation::Stack,
            "plimsoll:deploy/ecs.service": crate::capability::aws::ecs::Service,
            "plimsoll:deploy/docker.created": crate::capability::docker::Created,
            "plimsoll:deploy/docker.engine": crate::capability::docker::Engine,
            "plimsoll:deploy/docker.prepared": crate::capability::docker::Prepared,
            "plimsoll:deploy/ssh.session": crate::capability::ssh::Session,
            "plimsoll:deploy/lock.held": crate::capability::lock::Held,
        },
        additional_derives: [Clone, PartialEq],
    });
}

/// World `renderer-plugin`.
pub mod renderer {
    wasmtime::component::bindgen!({
        path: "../wit",
        world: "renderer-plugin",
        imports: { default: trappable },
        exports: { default: async },
        with: {
            "plimsoll:deploy/types": super::types,
            "plimsoll:deploy/log": super::log,
        },
    });
}

/// World `differ-plugin`.
pub mod differ {
    wasmtime::component::bindgen!({
        path: "../wit",
        world: "differ-plugin",
        imports: { default: trappable },
        exports: { default: async },
        with: {
            "plimsoll:deploy/types": super::types,
            "plimsoll:deploy/log": super::log,
        },
    });
}

/// World `policy-plugin`.
pub mod policy {
    wasmtime::component::bindgen!({
        path: "../wit",
        world: "policy-plugin",
        imports: { default: trappable },
        exports: { default: async },
        with: {
            "plimsoll:deploy/types": super::types,
            "plimsoll:deploy/log": super::log,
        },
    });
}
