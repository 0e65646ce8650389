//! Paths of the compiled guests: components that misbehave, and one policy that is nobody's of ours.

include!(concat!(env!("OUT_DIR"), "/guests.rs"));
