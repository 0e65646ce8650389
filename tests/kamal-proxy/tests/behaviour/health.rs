//! Nothing is routed to a target that was not seen well.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::support::{Health, Proxy, Target, done, refused};

#[tokio::test]
async fn an_ill_target_is_refused_in_kamal_proxys_words_and_the_old_one_keeps_serving() {
    let proxy = Proxy::start().await;
    let (old, new) = (
        Target::start("old", Health::Well).await,
        Target::start("new", Health::Ill).await,
    );
    assert_eq!(proxy.deploy("web", &old, "").await, done());
    let begun = Instant::now();
    let answer = proxy.deploy("web", &new, "--deploy-timeout=300ms").await;
    assert_eq!(
        answer,
        refused("target failed to become healthy within configured timeout (300ms)")
    );
    assert!(begun.elapsed() >= Duration::from_millis(300));
    assert_eq!(proxy.get("/").await.1, "old");
}

#[tokio::test]
async fn a_target_that_is_not_there_is_never_healthy() {
    let proxy = Proxy::start().await;
    let answer = proxy
        .tell("deploy web --target=127.0.0.1:1 --deploy-timeout=1s --health-check-interval=50ms")
        .await;
    assert_eq!(
        answer,
        refused("target failed to become healthy within configured timeout (1s)")
    );
    assert_eq!(proxy.get("/").await.0, 404);
}

#[tokio::test]
async fn a_target_that_needs_time_is_waited_for_and_then_left_alone() {
    let proxy = Proxy::start().await;
    let target = Target::start("late", Health::WellAfter(5)).await;
    assert_eq!(proxy.deploy("web", &target, "").await, done());
    assert_eq!(target.checks.load(Ordering::SeqCst), 6);
    assert_eq!(proxy.get("/").await.1, "late");
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(target.checks.load(Ordering::SeqCst), 6);
}

#[tokio::test]
async fn a_redirected_check_counts_where_it_leads() {
    let proxy = Proxy::start().await;
    let target = Target::start("moved", Health::Elsewhere).await;
    assert_eq!(proxy.deploy("web", &target, "").await, done());
}

#[tokio::test]
async fn a_forced_deploy_asks_nothing() {
    let proxy = Proxy::start().await;
    let target = Target::start("ill", Health::Ill).await;
    assert_eq!(proxy.deploy("web", &target, "--force").await, done());
    assert_eq!(target.checks.load(Ordering::SeqCst), 0);
    assert_eq!(proxy.get("/").await.1, "ill");
}
