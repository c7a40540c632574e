//! Expressions of template engines, and code of the languages they are written in: Python, Ruby, Perl.

use super::Words;
use super::around::{ends, evidence, first, from, has, in_prose, is_called, last, leads, weigh};
use crate::list::{Prefixes, strip_one_of};
use crate::spot::{is_word, skip_space};
use crate::{Evidence, Spot};

pub(super) const WORDS: &[Words] = &[
    Words {
        list: "{{",
        verify: moustache,
    },
    Words {
        list: "{%",
        verify: statement,
    },
    Words {
        list: "<%",
        verify: embedded,
    },
    Words {
        list: "${ #{ *{ @{ ~{ @( {= ${{",
        verify: expression,
    },
    Words {
        list: "[[${ [(${ __${ [[@{ [[*{",
        verify: inlined,
    },
    Words {
        list: "<#assign <#include <#list <#import <#function <#macro <#attempt <#if ?new( ?api. ?eval <@",
        verify: freemarker,
    },
    Words {
        list: "#set #foreach #evaluate #parse $class.inspect $class.type $class.forname",
        verify: velocity,
    },
    Words {
        list: "{$smarty. {self:: {system( {passthru( {exec( {shell_exec( {phpinfo( {fetch {math {literal}",
        verify: smarty,
    },
    Words {
        list: "__subclasses__ __globals__ __builtins__ __mro__ __base__ __bases__ __import__ __reduce__ __reduce_ex__ __getattribute__ \
               __code__",
        verify: python_name,
    },
    Words {
        list: "os.system os.popen os.exec subprocess. pty.spawn importlib. commands.getoutput builtins. cpickle. pickle.loads \
               yaml.load marshal.loads",
        verify: python_call,
    },
    Words {
        list: "!!python/ !python/ !ruby/ !!ruby/ !!js/ cos\nsystem cposix\nsystem c__builtin__\n csubprocess\n",
        verify: tagged,
    },
    Words {
        list: "@{[ @{",
        verify: perl,
    },
    Words {
        list: "process.spawn process.exec kernel.system kernel.exec kernel.spawn kernel.open io.popen open3. instance_eval class_eval \
               .constantize",
        verify: ruby,
    },
];

const KIND: &str = "template expression";

/// Whether there is something in an expression that no page asks for: what leads from any object to all others.
fn reaches(inside: &[u8]) -> bool {
    let mut rest = inside;
    while let [byte, after @ ..] = rest {
        let list = match *byte {
            b'_' => "_ self",
            b'c' => "onfig. onfig[ ycler onstructor",
            b's' => "elf._ elf[ ystem( ettings.secret",
            b'r' => "equest.app equest.env equest[ equest| equire( untime",
            b'l' => "ipsum ookup_",
            b'j' => "oiner",
            b'g' => "et_flashed etclass",
            b'p' => "open assthru",
            b'e' => "xec( val(",
            b'|' => "attr map( filter( sort(",
            b'f' => "ile_excerpt",
            b'\'' | b'"' => ".class ].map map']",
            b'%' => "x(",
            _ => "",
        };
        if !list.is_empty() && strip_one_of(after, list).is_some() {
            return true;
        }
        rest = after;
    }
    false
}

/// How much an expression weighs.
fn weigh_inside(inside: &[u8]) -> u16 {
    let inside = first(inside, 100);
    if is_sum(inside) {
        return Evidence::SURE;
    }
    if reaches(inside) {
        return Evidence::SURE;
    }
    let plain = skip_space(inside);
    match const { Prefixes::new("config self request app _self settings _context dump( phpinfo this.") }.strip(plain) {
        Some(rest)
            if ends(rest) || plain.starts_with(b"dump(") || plain.starts_with(b"phpinfo") =>
        {
            Evidence::LIKELY
        }
        _ => 0,
    }
}

/// Whether it is a sum of numbers, which shows whether it is worked out: `7*7`, `7*'7'`.
fn is_sum(inside: &[u8]) -> bool {
    let allowed = |byte: &u8| byte.is_ascii_digit() || b" *+-/%'\".()^".contains(byte);
    if inside.len() >= 40 || !inside.iter().all(allowed) {
        return false;
    }
    let operator = inside.iter().position(|byte| b"*+-/%^".contains(byte));
    let digit = |part: &[u8]| part.iter().any(u8::is_ascii_digit);
    operator.is_some_and(|at| digit(first(inside, at)) && digit(from(inside, at)))
}

/// What is between here and an end, and whether the end is there. What begins anew is not gone over again.
fn until<'t>(text: &'t [u8], end: &[u8], begin: &[u8]) -> (&'t [u8], bool) {
    let firsts = (end.first(), begin.first());
    let mut windows = first(text, 100).windows(end.len());
    let at = windows.position(|window| {
        let first = window.first();
        (first == firsts.0 && window == end) || (first == firsts.1 && window == begin)
    });
    match at {
        Some(at) => (first(text, at), from(text, at).starts_with(end)),
        None => (first(text, 100), false),
    }
}

fn found(spot: &Spot<'_>, score: u16) -> Option<Evidence> {
    if score == 0 {
        return None;
    }
    let score = match in_prose(spot) {
        true if score >= Evidence::SURE => Evidence::LIKELY,
        true => score.min(Evidence::SUSPECT),
        false => score,
    };
    evidence(KIND, score)
}

/// `{{7*7}}`.
fn moustache(spot: &Spot<'_>) -> Option<Evidence> {
    let text = spot.after();
    let (inside, _) = until(text, b"}}", b"{{");
    spot.work().add(inside.len().saturating_mul(3));
    let inside = inside
        .strip_prefix(b"{")
        .or(inside.strip_prefix(b"="))
        .unwrap_or(inside);
    let score = weigh_inside(inside);
    let score = match score {
        0 if const { Prefixes::new("#with #each :") }
            .strip(inside)
            .is_some()
            && has(text, b"lookup") =>
        {
            Evidence::LIKELY
        }
        0 if inside.contains(&b'(') && !inside.contains(&b' ') && leads(spot) => {
            Evidence::SUSPECT - 5
        }
        score => score,
    };
    found(spot, score)
}

/// `{% import os %}`.
fn statement(spot: &Spot<'_>) -> Option<Evidence> {
    let text = spot.after();
    let (inside, closed) = until(text, b"%}", b"{%");
    spot.work().add(inside.len().saturating_mul(3));
    let plain = skip_space(inside.strip_prefix(b"-").unwrap_or(inside));
    // `{%s}` is of another kind.
    if plain.len() == inside.len() && !closed {
        return None;
    }
    let score = match weigh_inside(inside) {
        0 if const { Prefixes::new("import include debug extends load source sandbox") }
            .strip(plain)
            .is_some() =>
        {
            Evidence::SUSPECT
        }
        0 if const { Prefixes::new("set if for block macro raw") }
            .strip(plain)
            .is_some() =>
        {
            Evidence::HINT
        }
        score => score,
    };
    found(spot, score)
}

/// `<%= system('id') %>`.
fn embedded(spot: &Spot<'_>) -> Option<Evidence> {
    let text = spot.after();
    let (inside, closed) = until(text, b"%>", b"<%");
    spot.work().add(inside.len().saturating_mul(4));
    if inside.first().is_none_or(|byte| is_word(*byte)) && !closed {
        return None;
    }
    let declared = const { Prefixes::new("@ !") }.strip(inside).is_some() && inside.len() > 4;
    let score = match weigh_inside(inside.strip_prefix(b"=").unwrap_or(inside)) {
        0 if runs(inside) => Evidence::LIKELY,
        0 if declared => Evidence::LIKELY,
        0 => Evidence::HINT / 2,
        score => score,
    };
    found(spot, score)
}

/// Whether code of a page does something that pages seldom do.
fn runs(inside: &[u8]) -> bool {
    let mut rest = inside;
    while let [byte, after @ ..] = rest {
        let list = match *byte {
            b's' => "ystem pawn(",
            b'e' => "xec val",
            b'p' => "open(",
            b'f' => "ile.",
            b'd' => "ir.",
            b'i' => "o. mport=",
            b'k' => "ernel",
            b'%' => "x",
            b'r' => "esponse. equest. untime",
            b'`' => return true,
            _ => "",
        };
        if !list.is_empty() && strip_one_of(after, list).is_some() {
            return true;
        }
        rest = after;
    }
    false
}

/// `${7*7}`, `#{7*7}`, `*{T(x)}`.
fn expression(spot: &Spot<'_>) -> Option<Evidence> {
    let text = first(spot.after(), 100);
    let end = match spot.word() {
        b"@(" => b')',
        _ => b'}',
    };
    let close = text.iter().position(|byte| *byte == end || *byte == b'{')?;
    if text.get(close) != Some(&end) {
        return None;
    }
    let inside = first(text, close);
    spot.work().add(inside.len().saturating_mul(3));
    let ruby = spot.word() == b"#{";
    let spring = inside.starts_with(b"t(") || inside.starts_with(b"new ");
    let score = match spot.word() {
        _ if is_sum(inside) && inside.iter().any(|byte| b"*+".contains(byte)) => Evidence::LIKELY,
        // `${x}` and the like are of shells and of pages as well.
        b"${" | b"${{" | b"#{" | b"*{" if spring || has(inside, b"getclass") => Evidence::LIKELY,
        b"#{" if runs(inside) => Evidence::LIKELY,
        b"${" if has(inside, b"freemarker") || has(inside, b"?new") => Evidence::SURE,
        b"~{" if has(inside, b"::") => Evidence::SUSPECT,
        b"{=" if is_sum(inside) => Evidence::LIKELY,
        _ => 0,
    };
    let score = if ruby && spot.before().last().is_some_and(|byte| is_word(*byte)) {
        score.min(Evidence::SUSPECT)
    } else {
        score
    };
    found(spot, score)
}

/// `[[${…}]]`, `__${…}__`.
fn inlined(spot: &Spot<'_>) -> Option<Evidence> {
    let text = spot.after();
    let (inside, closed) = until(text, b"}", b"{");
    spot.work().add(inside.len().saturating_mul(3));
    if !closed {
        return None;
    }
    let twice = spot.word() == b"__${" && has(text, b"}__");
    let score = match weigh_inside(inside) {
        _ if twice => Evidence::SURE,
        0 if inside.starts_with(b"t(") || inside.starts_with(b"new ") => Evidence::SURE,
        // `[[ ${x} == y ]]` of a shell has blanks.
        0 if spot.word() != b"__${" && (has(text, b"}]]") || has(text, b"})]")) => {
            Evidence::LIKELY - 5
        }
        score => score,
    };
    found(spot, score)
}

fn freemarker(spot: &Spot<'_>) -> Option<Evidence> {
    let after = first(spot.after(), 80);
    let score = match spot.word() {
        b"?new(" => Evidence::SURE,
        b"?api." => Evidence::LIKELY,
        b"?eval" if after.is_empty() || after.starts_with(b"}") => Evidence::LIKELY,
        b"?eval" => 0,
        b"<@"
            if const { Prefixes::new("urls. include_page") }
                .strip(after)
                .is_some() =>
        {
            Evidence::SUSPECT
        }
        b"<@" => 0,
        _ if has(after, b"?new") || has(after, b"freemarker") => Evidence::SURE,
        _ if after.starts_with(b" ") => Evidence::LIKELY - 5,
        _ => 0,
    };
    found(spot, score)
}

fn velocity(spot: &Spot<'_>) -> Option<Evidence> {
    let inside = skip_space(first(spot.after(), 40))
        .strip_prefix(b"(")
        .map(skip_space);
    let score = match (spot.word(), inside) {
        (word, _) if word.starts_with(b"$") => Evidence::SURE,
        (b"#set" | b"#foreach", Some([b'$', ..])) => Evidence::LIKELY,
        (b"#evaluate" | b"#parse", Some([b'$' | b'"' | b'\'', ..])) => Evidence::LIKELY - 5,
        _ => 0,
    };
    found(spot, score)
}

fn smarty(spot: &Spot<'_>) -> Option<Evidence> {
    let score = match spot.word() {
        b"{$smarty." | b"{self::" => Evidence::LIKELY,
        b"{literal}" => Evidence::SUSPECT,
        b"{fetch" | b"{math" => {
            match spot.after().starts_with(b" ") && has(first(spot.after(), 40), b"=") {
                true => Evidence::LIKELY - 5,
                false => 0,
            }
        }
        _ => Evidence::LIKELY,
    };
    found(spot, score)
}

/// Names by which Python leads from any object to all others.
fn python_name(spot: &Spot<'_>) -> Option<Evidence> {
    spot.work().add(128);
    let before = last(spot.before(), 40);
    let text = before.ends_with(b"'") || before.ends_with(b"\"");
    let chain = has(before, b"__class__")
        || has(before, b"__init__")
        || has(first(spot.after(), 40), b".__");
    let called = is_called(spot.after());
    let score = match spot.word() {
        _ if chain => Evidence::SURE,
        b"__import__" if called => match has(first(spot.after(), 60), b").") {
            true => Evidence::SURE,
            false => Evidence::SUSPECT,
        },
        b"__subclasses__" | b"__globals__" | b"__builtins__" if text || before.ends_with(b"[") => {
            Evidence::LIKELY
        }
        b"__subclasses__" | b"__globals__" | b"__builtins__" | b"__mro__" => Evidence::SUSPECT - 5,
        _ => Evidence::HINT,
    };
    found(spot, score)
}

fn python_call(spot: &Spot<'_>) -> Option<Evidence> {
    let after = first(spot.after(), 48);
    let (_, rest) = crate::classes::around::name(after);
    if !is_called(rest) {
        return None;
    }
    let text = rest.iter().any(|byte| b"'\"".contains(byte));
    let begins = leads(spot)
        || spot
            .before()
            .last()
            .is_some_and(|byte| b";:{".contains(byte));
    let imported = has(last(spot.before(), 40), b"import");
    let score = match (text && begins, imported) {
        (_, true) => Evidence::LIKELY,
        (true, _) if ends(from(spot.after(), 60)) && spot.after().len() < 80 => {
            Evidence::LIKELY - 5
        }
        (true, _) => Evidence::SUSPECT,
        _ => Evidence::HINT,
    };
    evidence(
        "python call",
        if in_prose(spot) {
            score.min(Evidence::HINT)
        } else {
            score
        },
    )
}

fn tagged(spot: &Spot<'_>) -> Option<Evidence> {
    evidence(
        "object of another language",
        weigh(spot, Evidence::SURE, Evidence::SUSPECT),
    )
}

/// `@{[system 'id']}`.
fn perl(spot: &Spot<'_>) -> Option<Evidence> {
    let listed = spot.word() == b"@{[" || skip_space(first(spot.after(), 8)).starts_with(b"[");
    listed.then_some(Evidence::new(
        "perl expression",
        weigh(spot, Evidence::LIKELY, Evidence::SUSPECT),
    ))
}

fn ruby(spot: &Spot<'_>) -> Option<Evidence> {
    let after = skip_space(first(spot.after(), 24));
    let given = after.strip_prefix(b"(").unwrap_or(after);
    let text = given.first().is_some_and(|byte| b"'\"%`".contains(byte));
    let member = spot
        .before()
        .last()
        .is_some_and(|byte| b"._".contains(byte));
    let score = match text && !member {
        true => weigh(spot, Evidence::LIKELY, Evidence::SUSPECT),
        false => 0,
    };
    evidence("ruby call", score)
}

#[cfg(test)]
mod tests {
    use crate::Class;
    use crate::detector::found;

    fn is_found(text: &str) -> bool {
        found(text)
            .iter()
            .any(|(class, ..)| *class == Class::Template)
    }

    #[test]
    fn attacks_are_found() {
        for attack in [
            "{{7*7}}",
            "a{{ 7*'7' }}b",
            "{{config}}",
            "{{config.items()}}",
            "{{''.__class__.__mro__[1].__subclasses__()}}",
            "{{_self.env.display('x')}}",
            "{{['id']|map('system')|join}}",
            "{{constructor.constructor('x')()}}",
            "{% import os %}{{os.popen('id').read()}}",
            "<%= 7*7 %>",
            "<% system('id') %>",
            "<%= `id` %>",
            "${7*7}",
            "#{7*7}",
            "*{7*7}",
            "@(7*7)",
            "${{7*7}}",
            "[[${7*7}]]",
            "__${T(java.lang.Runtime)}__::.x",
            "<#assign x=\"freemarker.template.utility.Execute\"?new()>",
            "#set($x=1)",
            "{$smarty.version}",
            "__import__('os').popen('id')",
            "!!python/object/apply:os.system ['id']",
            "cos\nsystem\n(S'id'",
            "@{[system 'id']}",
            "Process.spawn(\"id\")",
            "Kernel.system('id')",
        ] {
            assert!(is_found(attack), "{attack}: {:?}", found(attack));
        }
    }

    #[test]
    fn pages_and_programs_are_not() {
        for harmless in [
            "{{ name }}",
            "{{ user.name | upper }}",
            "<%= title %>",
            "{% if x %}",
            "${x}",
            "#{name}",
            "${{ secrets.TOKEN }}",
            "[[ ${x} == y ]]",
            "price {5*2}",
            "@{user}",
            "#include <x.h>",
            "#settings",
            "cls.__subclasses__()",
            "def __init__(self):",
            "subprocess.run(args)",
            "The process.spawn call",
        ] {
            assert!(!is_found(harmless), "{harmless}: {:?}", found(harmless));
        }
    }
}
