//! A script with several different errors shows them all, each with its place, and leaves no object.

use std::process::Command;
use tests::{kernel_btf, lab, objects};

const SCRIPT: &str = r#"begin {
  printf("%d\n", $never_set);
}
fentry:vfs_mkdir {
  @calls = count();
  printf("%s\n", str(args.no_such_argument));
}
end {
  @name = 1;
  @name = "text";
}
"#;

#[test]
fn three_errors_in_one_run() {
    lab::set_up().expect("the kernels are fetched");
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (script, object) = (dir.path().join("three.bt"), dir.path().join("three.bpf.o"));
    std::fs::write(&script, SCRIPT).expect("writes the script");
    let btf = kernel_btf::directory(lab::BUILD_KERNEL, &[]).expect("kernel types");
    let output = Command::new(objects::sondec().expect("the compiler builds"))
        .arg("build")
        .arg(&script)
        .arg("-o")
        .arg(&object)
        .arg("--btf")
        .arg(&btf)
        .output()
        .expect("the compiler starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(!object.exists(), "an object was written in spite of errors");
    assert_eq!(said.matches("error[E").count(), 3, "{said}");
    for (place, word) in
        [("three.bt:2:", "never_set"), ("three.bt:6:", "no_such_argument"), ("three.bt:10:", "@name")]
    {
        assert!(said.contains(place) && said.contains(word), "nothing about {word} at {place}\n{said}");
    }
}

#[test]
fn a_syntax_error_does_not_hide_the_next() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let script = dir.path().join("two.bt");
    std::fs::write(&script, "begin { $x = ; }\nend { printf(\"a\" }\n").expect("writes the script");
    let output = Command::new(objects::sondec().expect("the compiler builds"))
        .args(["build", "--emit=ast"])
        .arg(&script)
        .output()
        .expect("the compiler starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("two.bt:1:") && said.contains("two.bt:2:"), "{said}");
}
