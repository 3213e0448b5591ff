import assert from "node:assert/strict";
import { test } from "node:test";
import { mirrorsInIndexTargets, mirrorsInSources } from "./mirror.ts";

test("apt's index targets give each Debian archive once, not security and not third parties", () => {
  const output = [
    "Debian\tDebian\thttp://mirror.test/debian/",
    "Debian\tDebian\thttp://mirror.test/debian/",
    "Debian\tDebian-Security\thttp://mirror.test/debian-security/",
    "Node Source\tNode Source\thttps://node.test/node_20.x/",
    "",
  ].join("\n");
  assert.deepEqual(mirrorsInIndexTargets(output), ["http://mirror.test/debian"]);
  assert.deepEqual(mirrorsInIndexTargets(""), []);
});

test("deb822 sources are read: comments, several URIs, continuation lines, switched off entries", () => {
  const text = `Types: deb
# http://snapshot.test/archive/debian/20250520T000000Z
URIs: http://mirror.test/debian
 https://second.test/pub/debian/
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://mirror.test/debian-security
Suites: bookworm-security
Components: main

Enabled: no
Types: deb
URIs: http://off.test/debian
Suites: sid
Components: main

Types: deb
URIs: https://proxy.test/repository/apt
Suites: trixie
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.pgp
`;
  assert.deepEqual(mirrorsInSources(text), [
    "http://mirror.test/debian",
    "https://second.test/pub/debian",
    "https://proxy.test/repository/apt",
  ]);
});

test("one-line sources are read: options, commented lines, sources and Ubuntu's archive left out", () => {
  const text = `# deb http://old.test/debian buster main
deb http://mirror.test/debian bookworm main contrib # here
deb-src http://src.test/debian bookworm main
deb [arch=amd64 signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://user:secret@proxy.test/d trixie main
deb http://mirror.test/debian bookworm-updates main
deb http://archive.test/ubuntu noble main universe
deb https://docker.test/linux/debian bookworm stable
`;
  assert.deepEqual(mirrorsInSources(text), [
    "http://mirror.test/debian",
    "http://user:secret@proxy.test/d",
  ]);
});
