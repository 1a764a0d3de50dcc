//! Command lines with what they must print, in the order in which they are run.

use crate::Case;

pub const SIMPLE: &[Case] = &[
    ("put value k one", 0, ""),
    ("get value k", 0, "one\n"),
    ("get value none", 1, ""),
    ("mget value none k", 1, "k\tone\n"),
    ("delete value k", 0, ""),
    ("get value k", 1, ""),
    ("incr counter k", 0, ""),
    ("incr counter k -5 --return-value", 0, "-4\n"),
    ("get counter k", 0, "-4\n"),
    ("reset counter k", 0, ""),
    ("get counter k", 0, "0\n"),
    ("incr value k", 1, ""),
    ("get bounded-counter k", 0, "0\n"),
    ("incr bounded-counter k -1", 1, ""),
    ("incr bounded-counter k 5 -w 3", 0, ""),
    ("get bounded-counter k", 0, "5\n"),
    ("reset bounded-counter k", 1, ""),
    ("register get register k", 1, ""),
    ("register set register k a -w 3", 0, ""),
    ("register set register k b -w 3", 0, ""),
    ("register get register k", 0, "b\n"),
    ("max get max k", 1, ""),
    ("max offer max k -7", 0, ""),
    ("max offer max k -9", 0, ""),
    ("max get max k", 0, "-7\n"),
    ("min offer min k -9", 0, ""),
    ("min offer min k -7 --return-value", 0, "-9\n"),
    ("get min k", 0, "-9\n"),
    ("flag get flag k", 0, "off\n"),
    ("flag on flag k", 0, ""),
    ("flag get flag k", 0, "on\n"),
    ("flag off flag k", 0, ""),
    ("get flag k", 0, "off\n"),
    ("flag on disable-flag k --return-value", 0, "on\n"),
    ("hll add hll k a b a", 0, ""),
    ("hll add hll k c b", 0, ""),
    ("hll count hll k", 0, "3\n"),
];

pub const SETS: &[Case] = &[
    ("sadd set k b a c", 0, ""),
    ("srem set k b", 0, ""),
    ("smembers set k", 0, "a\nc\n"),
    ("sismember set k c", 0, "1\n"),
    ("sismember set k b", 0, "0\n"),
    ("scard set k", 0, "2\n"),
    ("scard set k --approximate", 0, "2\n"),
    ("sscan set k --from b", 0, "c\n"),
    ("sscan set k --reverse", 0, "c\na\n"),
    ("sadd grow-set k a b", 0, ""),
    ("srem grow-set k a", 1, ""),
    ("get grow-set k", 0, "a\nb\n"),
    ("sadd remove-set k a b --return-value", 0, "a\nb\n"),
    ("srem remove-set k a --return-value", 0, "b\n"),
];

pub const MAPS: &[Case] = &[
    ("incr map k 2 --field logins", 0, ""),
    (
        "map update map k 'incr logins' 'register set home.city London' 'sadd tags a b'",
        0,
        "",
    ),
    ("get map k --field logins", 0, "3\n"),
    ("get map k -f home.city", 0, "London\n"),
    ("get map k -f home", 0, "city  register  London\n"),
    ("sismember map k b --field tags", 0, "1\n"),
    ("list push map k x --field tasks", 0, ""),
    ("flag on map k -f vip --kind disable-flag", 0, ""),
    (r"register set map k text -f v1\.\xff", 0, ""),
    (
        "map get map k",
        0,
        "home      map\n  city    register      London\n\
         logins    counter       3\n\
         tags      set           a\n                        b\n\
         tasks     list          x\n\
         v1\\.\\xff  register      text\n\
         vip       disable-flag  on\n",
    ),
    ("map len map k", 0, "6\n"),
    ("map len map k --approximate", 0, "6\n"),
    (r"map remove map k v1\.\xff home tasks", 0, ""),
    ("incr map k -f tags", 0, ""),
    ("get map k -f tags", 0, "1\na\nb\n"),
    ("get map k -f tags --kind set", 0, "a\nb\n"),
    ("delete map k -f tags", 0, ""),
    ("get map k -f tags", 1, ""),
    ("get map k -f none", 1, ""),
    ("incr map k -f logins --kind set", 64, ""),
];

pub const LISTS: &[Case] = &[
    ("list push list k b c", 0, ""),
    ("list push list k --front a", 0, ""),
    ("list insert list k --at 3 e", 0, ""),
    ("list insert list k --at 2 'b and a half'", 0, ""),
    ("get list k", 0, "a\nb\nb and a half\nc\ne\n"),
    ("list insert list k --at 9 x", 1, ""),
    ("list push list k once --idempotency-key o-42", 0, ""),
    ("list push list k once --idempotency-key o-42", 0, ""),
    ("list push list k twice --idempotency-key o-42", 1, ""),
    ("get list k", 0, "a\nb\nb and a half\nc\ne\nonce\n"),
    ("list remove list k --at 5", 0, ""),
    ("list remove list k --at 1 --at 3 --at 2", 0, ""),
    ("get list k", 0, "a\ne\n"),
];

pub const SCANS: &[Case] = &[
    (
        "scan orders c7 --prefix 11-0 --limit 1",
        0,
        "11-01\torder-1\n",
    ),
    ("scan orders c7 --reverse --limit 1", 0, "11-05\torder-5\n"),
    (
        "scan orders c7 --from 11-02 --to 11-04",
        0,
        "11-02\torder-2\n11-03\torder-3\n",
    ),
    ("scan orders nobody", 0, ""),
    ("get orders c7 --sort 11-03", 0, "order-3\n"),
];

pub const OPTIONS: &[Case] = &[
    ("bucket create users", 0, "*"),
    ("bucket create counts --kind counter", 0, "*"),
    ("put users ada Ada -w 3 --durability synced --ttl 1h", 0, ""),
    ("get users ada -r 3 --timeout 4s", 0, "Ada\n"),
    ("get users ada --local --node n1", 0, "Ada\n"),
    ("put users ada other --if-current", 1, ""),
    ("incr counts k 2 --ttl 1h", 1, ""),
    ("incr counts k 2 --idempotency-key once", 0, ""),
    ("incr counts k 2 --idempotency-key once", 0, ""),
    ("get counts k", 0, "2\n"),
    ("put users eve one -w 3", 0, ""),
    ("put users eve two -w 3", 0, ""),
];

/// Something to inspect where the commands above have left nothing.
pub const LEFT: &[Case] = &[
    ("put value k last", 0, ""),
    ("incr counter k 3", 0, ""),
    ("flag on flag k", 0, ""),
    ("list push list k first second", 0, ""),
];

/// What ends after a millisecond is over when the next command has begun.
pub const ENDS: &[Case] = &[
    ("put value ends x --ttl 1ms", 0, ""),
    ("get value ends", 1, ""),
    ("register set register ends x --ttl 1ms", 0, ""),
    ("register get register ends", 1, ""),
    ("sadd set ends x --ttl 1ms", 0, ""),
    ("sadd set ends y --ttl 1h", 0, ""),
    ("smembers set ends", 0, "y\n"),
    ("sadd grow-set ends x --ttl 1ms", 0, ""),
    ("scard grow-set ends", 0, "0\n"),
    ("list push list ends x --ttl 1ms", 0, ""),
    ("get list ends", 0, ""),
    ("register set map ends x --field city --ttl 1ms", 0, ""),
    ("get map ends --field city", 1, ""),
    ("sadd remove-set ends x --ttl 1ms", 1, ""),
    ("flag on flag ends --ttl 1ms", 1, ""),
];

/// What is said of what the commands above have left under `k`.
pub const INSPECTED: &[(&str, &[&str])] = &[
    // Whether or not the share that was reset is removed already.
    ("counter", &["3 (added "]),
    ("bounded-counter", &["added 5, used 0"]),
    ("register", &["b   assigned 20"]),
    ("max", &["   -7"]),
    ("min", &["   -9"]),
    ("flag", &["   on"]),
    ("disable-flag", &["   on"]),
    ("hll", &["1 of 256 registers set"]),
    ("set", &["a: in", "c: in"]),
    ("grow-set", &["a: in", "b: in"]),
    ("remove-set", &["a: out", "b: in"]),
    ("list", &[": first", ": second"]),
    (
        "map",
        &[
            "logins (share)  3 (added 3 up to ",
            "vip (disable-flag)  on",
        ],
    ),
    ("value", &["   last"]),
];

/// What becomes of several values is said when the bucket is made.
pub const SIBLINGS: &[Case] = &[
    ("bucket create last --siblings latest", 0, "*"),
    ("put last k one -w 3", 0, ""),
    ("put last k two -w 3", 0, ""),
    ("get last k -r 3", 0, "two\n"),
    ("bucket create pairs --siblings 2", 0, "*"),
    ("put pairs k one -w 3", 0, ""),
    ("put pairs k two -w 3", 0, ""),
    ("put pairs k three -w 3", 1, ""),
    ("get pairs k -r 3", 4, "*"),
];
