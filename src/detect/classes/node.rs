//! Code of Node.js, ways to change what all objects inherit, and operators of databases where names should be.

use super::Words;
use super::around::{
    ends, evidence, first, from, has, in_prose, is_all, is_called, last, leads, name, weigh,
};
use crate::list::{List, Prefixes};
use crate::spot::{is_space, is_word, skip_space};
use crate::{Context, Evidence, Spot};

pub(super) const WORDS: &[Words] = &[
    Words {
        list: "require import",
        verify: module,
    },
    Words {
        list: "require.main require.cache require.resolve require.extensions .mainmodule mainmodule module._load ._load process.binding process.dlopen \
               process._linkedbinding",
        verify: loader,
    },
    Words {
        list: "child_process worker_threads",
        verify: processes,
    },
    Words {
        list: ".spawn .spawnsync .execsync .execfile .execfilesync .fork execsync spawnsync",
        verify: spawn,
    },
    Words {
        list: "process[ require[ global[ globalthis[ mainmodule[ binding[",
        verify: bracketed,
    },
    Words {
        list: "process. global.process globalthis.process",
        verify: process,
    },
    Words {
        list: "constructor .constructor",
        verify: constructor,
    },
    Words {
        list: "__proto__",
        verify: prototype,
    },
    Words {
        list: "$where $function $accumulator $ne $gt $gte $lt $lte $nin $regex $exists $elemmatch $expr $not $jsonschema",
        verify: operator,
    },
    Words {
        list: "_$$nd_func$$_ __js_function $$js_function$$",
        verify: revived,
    },
    Words {
        list: "while for",
        verify: endless,
    },
    Words {
        list: "eval function settimeout setinterval setimmediate vm.runinnewcontext vm.runinthiscontext vm.script",
        verify: evaluated,
    },
    Words {
        list: "string.fromcharcode console.error console.debug console.trace console.warn module.exports res.end res.send response.end this.constructor arguments.callee deno.run deno.command \
               bun.spawn",
        verify: part,
    },
    Words {
        list: ";return '||this. '||'1'=='1 \"||this.",
        verify: predicate,
    },
];

/// What is taken in: `require('child_process')`.
fn module(spot: &Spot<'_>) -> Option<Evidence> {
    const MODULES: List = List::new(
        "fs http https net vm os path crypto cluster dgram tls repl inspector v8 module dns process",
    );
    let after = skip_space(first(spot.after(), 40)).strip_prefix(b"(")?;
    let after = skip_space(after);
    let after = after
        .strip_prefix(b"`")
        .or(after.strip_prefix(b"'"))
        .or(after.strip_prefix(b"\""))?;
    let after = after.strip_prefix(b"node:").unwrap_or(after);
    let (module, rest) = name(after);
    let rest = from(rest, 1);
    let used = skip_space(rest.strip_prefix(b")").unwrap_or(rest)).starts_with(b".");
    let score = match module {
        b"child_process" | b"worker_threads" => weigh(spot, Evidence::SURE, Evidence::SUSPECT),
        // `const fs = require('fs');` begins many a file.
        _ if MODULES.has(module) && (used || leads(spot)) => {
            weigh(spot, Evidence::LIKELY, Evidence::HINT)
        }
        _ if MODULES.has(module) => Evidence::HINT,
        _ => 0,
    };
    evidence("node module", score)
}

fn loader(spot: &Spot<'_>) -> Option<Evidence> {
    let after = spot.after();
    let score = match spot.word() {
        b"process.binding" | b"process.dlopen" | b"process._linkedbinding" if is_called(after) => {
            weigh(spot, Evidence::SURE, Evidence::SUSPECT)
        }
        b"._load" | b"module._load" if is_called(after) => {
            weigh(spot, Evidence::SURE, Evidence::SUSPECT)
        }
        b".mainmodule" | b"mainmodule" if after.starts_with(b".") || after.starts_with(b"[") => {
            Evidence::LIKELY
        }
        b"require.main" if after.starts_with(b".") && !after.starts_with(b".filename") => {
            Evidence::LIKELY
        }
        b"require.cache" | b"require.resolve" | b"require.extensions" if leads(spot) => {
            Evidence::LIKELY - 5
        }
        b"require.main" if leads(spot) => Evidence::LIKELY - 5,
        _ => Evidence::HINT / 2,
    };
    evidence("node loader", score)
}

fn processes(spot: &Spot<'_>) -> Option<Evidence> {
    let before = last(spot.before(), 8);
    let loaded =
        before.ends_with(b"_load(") || before.ends_with(b"import(") || has(before, b"require");
    let score = if loaded {
        Evidence::SURE
    } else {
        Evidence::SUSPECT - 5
    };
    let quoted = spot.after().starts_with(b"\"") || spot.after().starts_with(b"'");
    let used = has(first(spot.after(), 60), b"spawn") || has(first(spot.after(), 60), b"exec");
    let score = if quoted && used {
        Evidence::LIKELY
    } else {
        score
    };
    evidence(
        "node processes",
        if in_prose(spot) {
            Evidence::HINT
        } else {
            score
        },
    )
}

fn spawn(spot: &Spot<'_>) -> Option<Evidence> {
    let after = first(spot.after(), 24);
    let given = skip_space(after).strip_prefix(b"(").map(skip_space);
    let text = given.is_some_and(|given| given.first().is_some_and(|byte| b"'\"`".contains(byte)));
    text.then_some(Evidence::new("node call", Evidence::SUSPECT - 5))
}

/// `process.mainModule`, `process.exit()`.
fn process(spot: &Spot<'_>) -> Option<Evidence> {
    if spot.word() != b"process." {
        return evidence(
            "node process",
            weigh(spot, Evidence::LIKELY, Evidence::HINT),
        );
    }
    let (member, after) = name(first(spot.after(), 24));
    let called = is_called(after);
    let before = spot.before();
    // Where an expression begins.
    let asked = before.ends_with(b"{{")
        || before.ends_with(b"#{")
        || before.ends_with(b"(")
        || before.ends_with(b";");
    let score = match member {
        b"mainmodule" => weigh(spot, Evidence::SURE, Evidence::SUSPECT),
        b"exit" | b"kill" | b"abort" | b"reallyexit" | b"chdir"
            if called && (leads(spot) || asked) =>
        {
            Evidence::LIKELY
        }
        b"cwd" if called && is_short(spot) => Evidence::LIKELY - 5,
        b"env" | b"argv" | b"version" | b"versions" | b"platform" if asked || is_all(spot) => {
            Evidence::LIKELY - 5
        }
        b"binding" | b"constructor" | b"global" | b"main" | b"process" | b"require"
            if leads(spot) || asked =>
        {
            Evidence::LIKELY - 5
        }
        b"env" | b"exit" | b"kill" | b"cwd" | b"argv" => Evidence::HINT / 2,
        // Calls that only look as if they were the process's.
        _ if called && leads(spot) && is_of_files(member) => Evidence::LIKELY - 5,
        _ => 0,
    };
    evidence(
        "node process",
        if in_prose(spot) {
            score.min(Evidence::HINT)
        } else {
            score
        },
    )
}

/// Whether a call reads, writes or runs something.
fn is_of_files(member: &[u8]) -> bool {
    let call = member.strip_suffix(b"sync").unwrap_or(member);
    const { List::new("exec execfile spawn open opendir read readfile readdir write writefile appendfile rename rm unlink chmod chown copyfile mkdir stat link") }.has(call)
}

/// `process['mainModule']`.
fn bracketed(spot: &Spot<'_>) -> Option<Evidence> {
    let text = spot
        .after()
        .first()
        .is_some_and(|byte| b"'\"`".contains(byte));
    let score = match spot.word() {
        // Others have such tables too.
        b"require[" | b"global[" | b"binding[" if !leads(spot) => Evidence::SUSPECT,
        _ => weigh(spot, Evidence::LIKELY, Evidence::HINT),
    };
    text.then_some(Evidence::new("node process", score))
}

fn is_short(spot: &Spot<'_>) -> bool {
    spot.before().len() < 16 && spot.after().len() < 24
}

const INHERITED: &str = "change of what objects inherit";

/// `constructor.constructor('…')()`, `constructor[prototype][x]`.
fn constructor(spot: &Spot<'_>) -> Option<Evidence> {
    let after = first(spot.after(), 40);
    let after = after
        .strip_prefix(b"']")
        .or(after.strip_prefix(b"\"]"))
        .or(after.strip_prefix(b"]"))
        .unwrap_or(after);
    let (dot, rest) = match after {
        [b'.', rest @ ..] | [b'[', b'\'' | b'"', rest @ ..] | [b'[', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    let text = matches!(rest, [b'(', b'\'' | b'"' | b'`', ..]);
    let score = match const { Prefixes::new("prototype constructor") }.strip(rest) {
        Some(_) if dot && rest.starts_with(b"p") => {
            if leads(spot) || spot.before().ends_with(b"[") {
                Evidence::SURE
            } else {
                Evidence::SUSPECT
            }
        }
        Some(next) if dot => {
            let called = has(first(next, 4), b"(");
            if called {
                Evidence::SURE
            } else {
                Evidence::SUSPECT
            }
        }
        _ if text && has(rest, b"return") => Evidence::SURE,
        _ if text => Evidence::LIKELY - 5,
        _ => 0,
    };
    evidence(
        INHERITED,
        if in_prose(spot) {
            score.min(Evidence::SUSPECT)
        } else {
            score
        },
    )
}

/// `__proto__` as a name.
fn prototype(spot: &Spot<'_>) -> Option<Evidence> {
    let before = spot.before().last();
    let after = spot.after().first();
    let named = before.is_none_or(|byte| b"[\"'{,&?".contains(byte));
    let ended = after.is_none_or(|byte| b"[.\"'=:]".contains(byte) || is_space(*byte));
    let score = match (named, ended) {
        (true, true) => weigh(spot, Evidence::SURE, Evidence::SUSPECT),
        _ if before == Some(&b'.') => weigh(spot, Evidence::SUSPECT, Evidence::HINT),
        _ => Evidence::HINT,
    };
    evidence(INHERITED, score)
}

/// `$ne` and the like as a name, or in the brackets of one.
fn operator(spot: &Spot<'_>) -> Option<Evidence> {
    if !spot.is_whole() {
        return None;
    }
    let before = spot.before().last();
    let after = spot.after();
    let code = const { List::new("$where $function $accumulator $expr") }.has(spot.word());
    let bracket = before == Some(&b'[') && after.starts_with(b"]");
    let quoted = before.is_some_and(|byte| b"\"'".contains(byte))
        && skip_space(from(first(after, 8), 1)).starts_with(b":");
    let bare = before.is_some_and(|byte| b"{,".contains(byte))
        && skip_space(first(after, 8)).starts_with(b":");
    let name = matches!(spot.context(), Context::Name | Context::Json)
        && spot.is_first()
        && after.is_empty();
    let score = match (bracket || name || quoted || bare, code) {
        (true, true) => Evidence::SURE,
        (true, false) => Evidence::LIKELY,
        (false, true) => Evidence::HINT,
        _ => 0,
    };
    evidence(
        "operator of a database",
        if in_prose(spot) {
            score.min(Evidence::SUSPECT)
        } else {
            score
        },
    )
}

fn revived(spot: &Spot<'_>) -> Option<Evidence> {
    evidence(
        "function in an object",
        weigh(spot, Evidence::SURE, Evidence::SUSPECT),
    )
}

/// Loops without an end: `while(1);`, `for(;;){}`.
fn endless(spot: &Spot<'_>) -> Option<Evidence> {
    let inside = skip_space(first(spot.after(), 40)).strip_prefix(b"(")?;
    spot.work().add(96);
    let end = inside.iter().rposition(|byte| *byte == b')')?;
    let (condition, rest) = inside.split_at(end);
    let condition = skip_space(condition);
    let plain = condition
        .iter()
        .filter(|byte| !is_space(**byte) && **byte != b'(' && **byte != b')');
    let constant = match spot.word() {
        b"for" => plain.clone().eq(b";;"),
        _ => match condition {
            [b'!', rest @ ..] => const { Prefixes::new("0 false null undefined nan '' \"\" !") }
                .strip(skip_space(rest))
                .is_some(),
            [b'1'..=b'9', rest @ ..] => rest
                .iter()
                .all(|byte| byte.is_ascii_digit() || is_space(*byte)),
            [b'"' | b'\'' | b'`', ..] => {
                condition.len() > 2 && condition.first() == plain.clone().next_back()
            }
            [b'[', ..] => plain.clone().next_back() == Some(&b']'),
            [b'{', ..] => plain.clone().next_back() == Some(&b'}'),
            _ => {
                let (word, rest) = name(condition);
                let rest = rest.iter().all(|byte| is_space(*byte) || *byte == b')');
                rest && const { List::new("true this window infinity string boolean function object array date globalthis") }.has(word)
            }
        },
    };
    let body = skip_space(from(rest, 1));
    // A line of a program ends with a bracket that is open.
    let closed = body.is_empty()
        || body.starts_with(b";")
        || body.starts_with(b"{}")
        || (body.starts_with(b"{") && body.contains(&b'}'))
        || !body.starts_with(b"{");
    let begins = spot
        .before()
        .last()
        .is_none_or(|byte| !is_word(*byte) && *byte != b'.');
    if !constant || !begins {
        return None;
    }
    let score = match closed {
        true => weigh(spot, Evidence::LIKELY, Evidence::SUSPECT),
        false => Evidence::HINT,
    };
    evidence("loop without an end", score)
}

/// Texts that are run.
fn evaluated(spot: &Spot<'_>) -> Option<Evidence> {
    let inside = skip_space(skip_space(first(spot.after(), 48)).strip_prefix(b"(")?);
    let text = inside.first().is_some_and(|byte| b"'\"`".contains(byte));
    let disguised =
        const { Prefixes::new("string.fromcharcode atob( unescape( buffer. require( decodeuri") }
            .strip(inside)
            .is_some();
    let new = spot.before().ends_with(b"new ");
    let score = match spot.word() {
        b"eval" if disguised => Evidence::SURE,
        b"eval" => Evidence::HINT,
        b"function" if new && text => Evidence::SURE,
        b"function" if text && has(inside, b"return") => Evidence::SURE,
        b"function" if new => Evidence::LIKELY,
        b"function" => 0,
        word if word.starts_with(b"vm.") => Evidence::LIKELY,
        _ if text => Evidence::SUSPECT,
        _ => 0,
    };
    evidence(
        "text that is run",
        if in_prose(spot) {
            score.min(Evidence::SUSPECT)
        } else {
            score
        },
    )
}

fn part(spot: &Spot<'_>) -> Option<Evidence> {
    let after = skip_space(first(spot.after(), 24));
    let called = after.starts_with(b"(");
    let score = match spot.word() {
        b"string.fromcharcode" if called && (leads(spot) || is_short(spot)) => Evidence::LIKELY - 5,
        b"string.fromcharcode" if called => Evidence::SUSPECT,
        b"string.fromcharcode" => 0,
        word if word.starts_with(b"console.") => match called && leads(spot) {
            true => Evidence::SUSPECT - 5,
            false => 0,
        },
        b"module.exports" if leads(spot) && spot.after().starts_with(b"=") => Evidence::LIKELY - 5,
        b"module.exports" if leads(spot) && after.starts_with(b"=") => Evidence::SUSPECT,
        b"res.end" | b"res.send" | b"response.end" if leads(spot) && after.starts_with(b"(") => {
            Evidence::LIKELY - 5
        }
        b"this.constructor" if leads(spot) => Evidence::LIKELY - 5,
        b"this.constructor"
            if after.starts_with(b".") || after.starts_with(b"[") || after.starts_with(b"(") =>
        {
            Evidence::SUSPECT
        }
        b"deno.run" | b"deno.command" | b"bun.spawn" if after.starts_with(b"(") => {
            Evidence::LIKELY - 5
        }
        _ => 0,
    };
    evidence("node call", if in_prose(spot) { 0 } else { score })
}

/// What makes a condition of a database true: `';return true;var x='`.
fn predicate(spot: &Spot<'_>) -> Option<Evidence> {
    let after = skip_space(first(spot.after(), 16));
    let broken = spot
        .before()
        .last()
        .is_some_and(|byte| b"'\"".contains(byte));
    let score = match spot.word() {
        b";return" if broken => Evidence::LIKELY,
        b";return" => match const { Prefixes::new("true this. (true !0 1") }.strip(after) {
            Some(rest)
                if rest.first().is_none_or(|byte| !is_word(*byte))
                    || after.starts_with(b"this.") =>
            {
                Evidence::SUSPECT
            }
            _ => 0,
        },
        _ if ends(after) => 0,
        _ => Evidence::LIKELY,
    };
    evidence("condition of a database", score)
}

#[cfg(test)]
mod tests {
    use crate::detector::{found, found_in};
    use crate::{Class, Context};

    fn is_found(text: &str) -> bool {
        found(text).iter().any(|(class, ..)| *class == Class::Node)
    }

    #[test]
    fn attacks_are_found() {
        for attack in [
            "require('child_process').exec('id')",
            "require(\"fs\").readFileSync('/x')",
            "process.mainModule.require('x')",
            "global.process.mainModule",
            "process.binding('spawn_sync')",
            "#{require.main.constructor._load('fs')}",
            "x=\"child_process\";y(x).spawn('id')",
            "__proto__[x]",
            "__proto__.x",
            "a[__proto__][b]",
            "{\"__proto__\":{\"a\":1}}",
            "constructor[prototype][x]",
            "''.constructor.constructor('alert(1)')()",
            "user[$ne]",
            "{\"$where\":\"sleep(1)\"}",
            "_$$ND_FUNC$$_function(){}",
            "while(1);",
            "while(true){}",
            "for(;;){}",
            "while( !0 );",
            "new Function('return 1')()",
            "eval(String.fromCharCode(1))",
            "';return true;var x='",
        ] {
            assert!(is_found(attack), "{attack}: {:?}", found(attack));
        }
        let named = found_in(Context::Json, "$ne");
        assert!(named.iter().any(|(class, ..)| *class == Class::Node));
    }

    #[test]
    fn programs_and_texts_are_not() {
        for harmless in [
            "const x = require('./x');",
            "const fs = require('fs');",
            "while (true) {",
            "while (x < 1) { y(); }",
            "for (let i = 0; i < 1; i++) {}",
            "process.env.HOME",
            "The process.exit function ends it.",
            "constructor(props)",
            "class.constructor.name",
            "return true;",
            "setTimeout(f, 1)",
            "function (x) {}",
            "$5 for x",
            "proto",
            "this is for (all) of you",
        ] {
            assert!(!is_found(harmless), "{harmless}: {:?}", found(harmless));
        }
        assert_eq!(found_in(Context::Json, "$ref"), []);
    }
}
