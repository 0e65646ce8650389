//! Digests of the archives that were ever released, by the name of the code, the newest last.
//!
//! This is how a deployed archive is known to be ours. A line is only added, never taken away; what was not released yet may be
//! replaced.

pub(crate) const PUBLISHED: &[(&str, &[&str])] = &[
    (
        "alias-records",
        &["a72a2f44251dea0b19c711bc66786713423906b6ebec19e82cae79c36eb6b17d"],
    ),
    (
        "app-runner-domain",
        &["6343ff09a7206f112451f2e03562abd7cce67baf5e79b3e22050cfdfb341e894"],
    ),
    (
        "backlog-per-task",
        &["84389f679c0f362abebb4b2ab00dc491d55fe4d1114a34b82c8fb265d4272cf4"],
    ),
    (
        "certificate",
        &["99c5183ad679f1a3def8a7612b8f9586a8ff1ecb7d3402160040d366387e9d0e"],
    ),
    (
        "desired-count",
        &["9cdfe8df209f2e63f9750d2304b8eef799dac59d0f1c50c0132061f50319c842"],
    ),
    (
        "environment-controller",
        &["98b4205fc60f0d47dfcf3d98f770eb406c216741ea933a6b25a5a3f3e1916521"],
    ),
    (
        "rule-priority",
        &["6b132e521f8d4e62758177c0e106e59f47c2c457ba8f7b211f50ce2c1f64f100"],
    ),
    (
        "state-machine",
        &["20557f673ecf8671d1567f27146c024e9c16b9dace2f9145fda823148c9f04ee"],
    ),
];
