//! New lines follow the file's own style: its line ends, its tabs or spaces, and captured blocks at their own depth.

use super::*;

const GO: &str = "
id: plain-if
language: Go
rule: { pattern: 'if $X { return true } else { return false }' }
fix: |-
  if $X {
      return yes()
  }
  return no()
";

const PYTHON: &str = "
id: log
language: Python
rule: { pattern: print($A) }
fix: |-
  log(
      $A,
  )
---
id: once
language: Python
rule: { pattern: 'both($$$A)' }
fix: |-
  one($$$A)
  two($$$A)
---
id: guard
language: Python
rule: { pattern: 'if guard: $$$BODY' }
fix: |-
  with guard():
      $$$BODY
";

const JAVASCRIPT: &str = "
id: wrap
language: JavaScript
rule: { pattern: 'run(() => { $$$BODY })' }
fix: |-
  start(() => {
    begin();
    $$$BODY
  });
";

async fn fixed(rules: &str, path: &str, before: &str) -> String {
    let world = World::new();
    let repository = with_rules(&world, rules, &[(path, before)]);
    let server = world.serve();
    let (id, run) = autofix(&server, &repository, json!({})).await;
    let lines = server.lines(&id).await;
    assert_eq!(run["status"], "completed", "{run}");
    assert_eq!(told(&server, &id, "patch").await.len(), 1, "{lines:#?}");
    on_branch(&repository, &id, path)
}

#[tokio::test]
async fn indentation_keeps_tabs_in_go() {
    let before = "package p\n\nfunc f() bool {\n\tfor {\n\t\tif x { return true } else { return false }\n\t}\n}\n";
    let after =
        "package p\n\nfunc f() bool {\n\tfor {\n\t\tif x {\n\t\t\treturn yes()\n\t\t}\n\t\treturn no()\n\t}\n}\n";
    assert_eq!(fixed(GO, "a.go", before).await, after);
}

#[tokio::test]
async fn indentation_in_nested_python_classes_compiles() {
    let before = "class A:\n\tclass B:\n\t\tdef f(self):\n\t\t\tprint(1)\n\t\t\tboth(self)\n\t\t\treturn 1\n";
    let after = "class A:\n\tclass B:\n\t\tdef f(self):\n\t\t\tlog(\n\t\t\t\t1,\n\t\t\t)\n\t\t\tone(self)\n\t\t\ttwo(self)\n\t\t\treturn 1\n";
    assert_eq!(fixed(PYTHON, "a.py", before).await, after);
    for blanks in ["  ", "    "] {
        assert_eq!(fixed(PYTHON, "a.py", &before.replace('\t', blanks)).await, after.replace('\t', blanks));
    }
}

#[tokio::test]
async fn indentation_keeps_captured_blocks_and_strings() {
    let before =
        "def f():\n\tif guard:\n\t\ta = \"\"\"x\n  y\n\t\tz\"\"\"\n\t\tif a:\n\t\t\tb()\n\t\tc()\n\treturn 1\n";
    let after = before.replace("if guard:", "with guard():");
    assert_eq!(fixed(PYTHON, "a.py", before).await, after);
    let before = "function f() {\n\tif (x) {\n\t\trun(() => {\n\t\t\tone(`a\n  b`);\n\t\t\tif (y) {\n\t\t\t\ttwo();\n\t\t\t}\n\t\t});\n\t}\n}\n";
    let after = before.replace("run(() => {\n", "start(() => {\n\t\t\tbegin();\n").replace("});", "});;");
    assert_eq!(fixed(JAVASCRIPT, "a.js", before).await, after);
}

#[tokio::test]
async fn rewrites_keep_line_ends() {
    let before = "class A:\r\n    def f(self):\r\n        print(1)\r\n        return 1\r\n";
    let after = "class A:\r\n    def f(self):\r\n        log(\r\n            1,\r\n        )\r\n        return 1\r\n";
    assert_eq!(fixed(PYTHON, "a.py", before).await, after);
    let mixed = "print(1)\r\nx = 1\nprint(2)\n";
    assert_eq!(fixed(PYTHON, "a.py", mixed).await, "log(\r\n    1,\r\n)\r\nx = 1\nlog(\n    2,\n)\n");
}

/// A rewrite that Python would not read is left out, although its grammar takes it.
#[tokio::test]
async fn indentation_errors_in_python_are_refused() {
    let world = World::new();
    let rules = "
id: bad
language: Python
rule: { pattern: 'x = lambda: $A' }
fix: \"if $A:\\n\"
---
id: good
language: Python
rule: { pattern: old($A) }
fix: new($A)
";
    let repository = with_rules(&world, rules, &[("a.py", "def f():\n    x = lambda: 1\n    old(2)\n")]);
    let server = world.serve();
    let (id, run) = autofix(&server, &repository, json!({})).await;
    assert_eq!(run["status"], "completed", "{run}");
    assert_eq!(on_branch(&repository, &id, "a.py"), "def f():\n    x = lambda: 1\n    new(2)\n");
    let says = "left a match in a.py as it is: line 2, column 5 would not parse any more";
    assert!(server.lines(&id).await.contains(&says.to_owned()));
}
