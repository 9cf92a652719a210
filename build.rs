//! Asks for a new build of the program when the page's files changed: they are embedded in it (see `src/http/assets.rs`).

fn main() {
    println!("cargo:rerun-if-changed=target/site");
    println!("cargo:rerun-if-changed=migrations");
}
