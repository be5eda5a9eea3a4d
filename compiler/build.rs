//! Generates the parser from the grammar of the script language.

fn main() {
    println!("cargo::rerun-if-changed=src/syntax/grammar.lalrpop");
    lalrpop::Configuration::new()
        .set_in_dir("src")
        .set_out_dir(std::env::var_os("OUT_DIR").expect("cargo sets OUT_DIR for build scripts"))
        .process()
        .expect("the grammar must be free of conflicts");
}
