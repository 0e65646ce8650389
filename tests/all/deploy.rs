//! Real servers.
#[test]
fn stand_in() {
    lab::engine::ensure().unwrap();
    lab::proxy_stand_in::load(lab::Engine::Local).unwrap();
}
