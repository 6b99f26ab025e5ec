-- A Wireshark dissector for DMSG, the cluster protocol of DragonFly BSD, in both dialects: linkid (October 2012) and circuit (2014 to
-- today). Wireshark 3.6 or later. docs/captures.md says how to install it; docs/protocol.md has the protocol.
--
-- It takes TCP port 987 and, by the checksum of the first header, any other port. Which dialect a connection speaks it takes from, in this
-- order: the preference; the comment that `spanmesh capture` gives a packet; the command word of LNK_CONN; DBG_SHELL (linkid) before
-- any LNK_CONN; flags and fields that only one dialect has. Until one of these has been seen it is taken for circuit.

local dmsg = Proto("dmsg", "DMSG cluster protocol")

local CORE_BYTES = 64
local MAX_HEADER_BYTES = 2048
local PORT = 987

local CIRCUIT, LINKID = "circuit", "linkid"

-- COMMANDS, ERRORS and PEER_TYPES are made from libs/dmsg by `npm run docs:generate`.
local COMMANDS = {
  [0x000001] = "LNK_PAD",
  [0x000101] = "LNK_PING",
  [0x001002] = "LNK_AUTH",
  [0x001106] = "LNK_CONN",
  [0x001108] = "LNK_CONN",
  [0x001207] = "LNK_SPAN",
  [0x002008] = "LNK_VOLCONF",
  [0x0fff01] = "LNK_ERROR",
  [0x100101] = "DBG_SHELL",
  [0x500102] = "BLK_OPEN",
  [0x500202] = "BLK_CLOSE",
  [0x500302] = "BLK_READ",
  [0x500402] = "BLK_WRITE",
  [0x500502] = "BLK_FLUSH",
  [0x500602] = "BLK_FREEBLKS",
  [0x5fff03] = "BLK_ERROR",
}

local FLAGS = {
  { 0x80000000, "CREATE" },
  { 0x40000000, "DELETE" },
  { 0x20000000, "REPLY" },
  { 0x10000000, "ABORT" },
  { 0x08000000, "REVTRANS" },
  { 0x04000000, "REVCIRC" },
}

local PROTOCOLS = { [0] = "LNK", [1] = "DBG", [5] = "BLK" }

local ERRORS = {
  [0x00] = "OK",
  [0x01] = "SYNC",
  [0x02] = "EOF",
  [0x03] = "SOCK",
  [0x04] = "FIELD",
  [0x05] = "HCRC",
  [0x06] = "XCRC",
  [0x07] = "ACRC",
  [0x08] = "STATE",
  [0x09] = "NOPEER",
  [0x0a] = "NORKEY",
  [0x0b] = "NOLKEY",
  [0x0c] = "KEYXCHGFAIL",
  [0x0d] = "KEYFMT",
  [0x0e] = "BADURANDOM",
  [0x0f] = "MSGSEQ",
  [0x10] = "EALREADY",
  [0x11] = "TRANS",
  [0x12] = "IVWRAP",
  [0x13] = "MACFAIL",
  [0x14] = "ALGO",
  [0x20] = "NOSUPP",
  [0x21] = "LOSTLINK",
  [0x22] = "IO",
  [0x23] = "PARAM",
  [0x24] = "CANTCIRC",
}

local PEER_TYPES = {
  [0x00] = "NONE",
  [0x01] = "ROUTER",
  [0x02] = "BLOCK",
  [0x03] = "HAMMER2",
  [0x3f] = "CLIENT",
}

-- The two dialects count these differently.
local PFS_TYPES = {
  [LINKID] = {
    [0] = "NONE",
    [1] = "ADMIN",
    [2] = "CLIENT",
    [3] = "CACHE",
    [4] = "COPY",
    [5] = "SLAVE",
    [6] = "SOFT_SLAVE",
    [7] = "SOFT_MASTER",
    [8] = "MASTER",
  },
  [CIRCUIT] = {
    [0] = "NONE",
    [1] = "CACHE",
    [3] = "SLAVE",
    [4] = "SOFT_SLAVE",
    [5] = "SOFT_MASTER",
    [6] = "MASTER",
    [8] = "SUPROOT",
    [9] = "DUMMY",
  },
}

local F = {}

local function field(name, make, ...)
  F[name] = make("dmsg." .. name, ...)
end

field("dialect", ProtoField.string, "Dialect")
field("command", ProtoField.string, "Command")
field("flag_names", ProtoField.string, "Flags")
field("magic", ProtoField.uint16, "Magic", base.HEX)
field("reserved", ProtoField.uint16, "Reserved", base.HEX)
field("salt", ProtoField.uint32, "Salt", base.HEX)
field("sequence", ProtoField.uint32, "Sequence", base.DEC, nil, 0xff)
field("msgid", ProtoField.uint64, "Message id", base.HEX)
field("circuit", ProtoField.uint64, "Circuit", base.HEX)
field("link_verifier", ProtoField.uint64, "Link verifier", base.HEX)
field("source", ProtoField.uint64, "Source", base.HEX)
field("target", ProtoField.uint64, "Target", base.HEX)
field("cmd", ProtoField.uint32, "Command word", base.HEX)
field("flags.create", ProtoField.bool, "CREATE", 32, nil, 0x80000000)
field("flags.delete", ProtoField.bool, "DELETE", 32, nil, 0x40000000)
field("flags.reply", ProtoField.bool, "REPLY", 32, nil, 0x20000000)
field("flags.abort", ProtoField.bool, "ABORT", 32, nil, 0x10000000)
field("flags.revtrans", ProtoField.bool, "REVTRANS", 32, nil, 0x08000000)
field("flags.revcirc", ProtoField.bool, "REVCIRC", 32, nil, 0x04000000)
field("flags.auxoob", ProtoField.bool, "AUXOOB", 32, nil, 0x08000000)
field("cmd.protocol", ProtoField.uint32, "Protocol", base.DEC, PROTOCOLS, 0x00f00000)
field("cmd.number", ProtoField.uint32, "Number", base.HEX, nil, 0x000fff00)
field("cmd.size", ProtoField.uint32, "Header size in units of 64 bytes", base.DEC, nil, 0x000000ff)
field("aux_crc", ProtoField.uint32, "CRC of the aux data", base.HEX)
field("aux_bytes", ProtoField.uint32, "Aux size", base.DEC)
field("aux_size", ProtoField.uint32, "Size of the aux data in bytes", base.DEC)
field("error", ProtoField.uint32, "Error", base.DEC, ERRORS)
field("aux_descr", ProtoField.uint64, "Aux descriptor", base.HEX)
field("reserved2", ProtoField.uint32, "Reserved", base.HEX)
field("hdr_crc", ProtoField.uint32, "CRC of the header", base.HEX)
field("payload", ProtoField.bytes, "Payload")
field("aux", ProtoField.bytes, "Aux data")
field("padding", ProtoField.bytes, "Padding")
field("unparsed", ProtoField.bytes, "Not a DMSG message")

field("media_id", ProtoField.guid, "Media id")
field("pfs_clid", ProtoField.guid, "Cluster (pfs_clid)")
field("pfs_fsid", ProtoField.guid, "Node (pfs_fsid)")
field("peer_id", ProtoField.guid, "Cluster (peer_id)")
field("pfs_id", ProtoField.guid, "Node (pfs_id)")
field("peer_mask", ProtoField.uint64, "Peer mask", base.HEX)
field("peer_type", ProtoField.uint8, "Peer type", base.DEC, PEER_TYPES)
field("pfs_type", ProtoField.uint8, "PFS type", base.DEC)
field("proto_version", ProtoField.uint16, "Protocol version", base.DEC)
field("status", ProtoField.uint32, "Status", base.HEX)
field("dist", ProtoField.int32, "Distance", base.DEC)
field("dist_unsigned", ProtoField.uint32, "Distance", base.DEC)
field("rnss", ProtoField.uint32, "rnss", base.DEC)
field("media.bytes", ProtoField.uint64, "Size of the media in bytes", base.DEC)
field("media.blksize", ProtoField.uint32, "Block size", base.DEC)
field("label", ProtoField.string, "Label")
field("peer_label", ProtoField.string, "Peer label")
field("pfs_label", ProtoField.string, "PFS label")

field("volconf.index", ProtoField.int32, "Index", base.DEC)
field("volconf.copyid", ProtoField.uint8, "Copy id", base.DEC)
field("volconf.inprog", ProtoField.uint8, "In progress", base.DEC)
field("volconf.chain_to", ProtoField.uint8, "Chain to", base.DEC)
field("volconf.chain_from", ProtoField.uint8, "Chain from", base.DEC)
field("volconf.flags", ProtoField.uint16, "Flags", base.HEX)
field("volconf.flags.enabled", ProtoField.bool, "ENABLED", 16, nil, 0x0001)
field("volconf.flags.inprog", ProtoField.bool, "INPROG", 16, nil, 0x0002)
field("volconf.error", ProtoField.uint8, "Error", base.DEC)
field("volconf.priority", ProtoField.uint8, "Priority", base.HEX)
field("volconf.remote_pfs_type", ProtoField.uint8, "Remote PFS type", base.DEC)
field("volconf.pfs_clid", ProtoField.guid, "Cluster (pfs_clid)")
field("volconf.label", ProtoField.string, "Label")
field("volconf.path", ProtoField.string, "Path")

field("shell.text", ProtoField.string, "Text")
field("blk.modes", ProtoField.uint32, "Modes", base.HEX)
field("blk.modes.read", ProtoField.bool, "Read", 32, nil, 0x1)
field("blk.modes.write", ProtoField.bool, "Write", 32, nil, 0x2)
field("blk.keyid", ProtoField.uint64, "Key id", base.HEX)
field("blk.offset", ProtoField.uint64, "Offset", base.DEC)
field("blk.bytes", ProtoField.uint32, "Bytes", base.DEC)
field("blk.flags", ProtoField.uint32, "Flags", base.HEX)
field("blk.resid", ProtoField.uint32, "Residual", base.DEC)
field("blk.text", ProtoField.string, "Text")

local list = {}
for _, one in pairs(F) do
  list[#list + 1] = one
end
dmsg.fields = list

local bad_crc = ProtoExpert.new("dmsg.bad_header_crc", "The header's CRC is wrong", expert.group.CHECKSUM, expert.severity.ERROR)
local bad_aux_crc = ProtoExpert.new("dmsg.bad_aux_crc", "The aux data's CRC is wrong", expert.group.CHECKSUM, expert.severity.ERROR)
local bad_magic = ProtoExpert.new("dmsg.bad_magic", "No DMSG header", expert.group.PROTOCOL, expert.severity.WARN)
local short_payload = ProtoExpert.new("dmsg.short", "The header is too short for this command", expert.group.MALFORMED, expert.severity.ERROR)
local out_of_limits = ProtoExpert.new("dmsg.limits", "A size that the protocol does not allow", expert.group.PROTOCOL, expert.severity.ERROR)
dmsg.experts = { bad_crc, bad_aux_crc, bad_magic, short_payload, out_of_limits }

dmsg.prefs.dialect = Pref.enum("Dialect", 0, "Which dialect connections speak; Automatic: each shows its own", {
  { 1, "Automatic", 0 },
  { 2, "circuit (2014 to today)", 1 },
  { 3, "linkid (October 2012)", 2 },
}, false)
dmsg.prefs.crc = Pref.bool("Check CRCs", true, "Compute the CRC-32C of headers and aux data")

local stream_of = Field.new("tcp.stream")
local comment_of = Field.new("frame.comment")

-- The dialect of each TCP stream, once a packet has shown it.
local known = {}

function dmsg.init()
  known = {}
end

local crc_table = {}
for n = 0, 255 do
  local c = n
  for _ = 1, 8 do
    if bit32.band(c, 1) == 1 then
      c = bit32.bxor(bit32.rshift(c, 1), 0x82f63b78)
    else
      c = bit32.rshift(c, 1)
    end
  end
  crc_table[n] = c
end

-- CRC-32C of a string of bytes.
local function crc32c(bytes)
  local c = 0xffffffff
  for i = 1, #bytes do
    c = bit32.bxor(bit32.rshift(c, 8), crc_table[bit32.band(bit32.bxor(c, bytes:byte(i)), 0xff)])
  end
  return bit32.bnot(c)
end

-- nil: no header begins here; otherwise whether its sender is little-endian.
local function is_little(tvb, offset)
  local magic = tvb(offset, 2):le_uint()
  if magic == 0x4832 then
    return true
  elseif magic == 0x3248 then
    return false
  end
  return nil
end

local function word(tvb, at, little)
  if little then
    return tvb(at, 4):le_uint()
  end
  return tvb(at, 4):uint()
end

local function padded(bytes)
  return math.floor((bytes + 63) / 64) * 64
end

-- The dialect that one message shows, or nil.
local function dialect_of_message(tvb, offset, little)
  local cmd = word(tvb, offset + 32, little)
  local base_cmd = bit32.band(cmd, 0xffffff)
  if base_cmd == 0x001108 or base_cmd == 0x100101 and not bit32.btest(cmd, 0x0c000000) then
    return LINKID, base_cmd == 0x001108
  elseif base_cmd == 0x001106 then
    return CIRCUIT, true
  elseif bit32.btest(cmd, 0x0c000000) or bit32.rshift(bit32.band(cmd, 0xf00000), 20) == 5 then
    return CIRCUIT, false
  end
  -- A message with a target, which circuit does not have.
  if word(tvb, offset + 24, little) ~= 0 or word(tvb, offset + 28, little) ~= 0 then
    return LINKID, false
  end
  return nil, false
end

local function preferred()
  if dmsg.prefs.dialect == 1 then
    return CIRCUIT
  elseif dmsg.prefs.dialect == 2 then
    return LINKID
  end
  return nil
end

-- The dialect of this packet's stream; `offset`: where a header begins in the packet.
local function dialect_of(tvb, offset, little)
  local chosen = preferred()
  if chosen then
    return chosen
  end
  local comment = comment_of()
  local said = comment and string.match(tostring(comment.value), "^DMSG (%l+)")
  if said == CIRCUIT or said == LINKID then
    return said
  end
  local info = stream_of()
  local stream = info and info.value or -1
  local before = known[stream]
  if before and before.certain then
    return before.dialect
  end
  local dialect, certain = dialect_of_message(tvb, offset, little)
  if dialect and (certain or not before) then
    known[stream] = { dialect = dialect, certain = certain }
    return dialect
  end
  return before and before.dialect or CIRCUIT
end

-- Size of header and aux data in bytes, and of the aux data without padding; nil: nothing that the protocol allows.
local function sizes(tvb, offset, little, dialect)
  local head = bit32.band(word(tvb, offset + 32, little), 0xff) * 64
  local aux = word(tvb, offset + 40, little)
  local limit = 1048576
  if dialect == LINKID then
    aux = aux * 64
    limit = 65536
  end
  if head == 0 or head > MAX_HEADER_BYTES or aux > limit then
    return nil
  end
  return head, padded(aux), aux
end

local function message_length(tvb, _, offset)
  local little = is_little(tvb, offset)
  if little == nil then
    return tvb:len() - offset
  end
  local head, aux = sizes(tvb, offset, little, dialect_of(tvb, offset, little))
  if head == nil then
    return tvb:len() - offset
  end
  return head + aux
end

-- A string that ends at its first NUL; the last byte of its field counts as one if `terminated`.
local function text_of(range, terminated)
  local bytes = range:len()
  local most = terminated and bytes - 1 or bytes
  local stop = string.find(range:raw(), "\0", 1, true)
  local length = math.min(stop and stop - 1 or bytes, most)
  if length <= 0 then
    return ""
  end
  return range(0, length):string(ENC_UTF_8)
end

local function add_text(tree, name, range, terminated)
  local text = text_of(range, terminated)
  tree:add(F[name], range, text)
  return text
end

local function add_pfs_type(tree, name, range, dialect)
  tree:add_le(F[name], range):append_text(" (" .. (PFS_TYPES[dialect][range:uint()] or "unknown") .. ")")
end

-- What each payload needs, and how it is shown; `p` is the whole message. Payload fields are little-endian, whoever sent them. Each gives
-- what the Info column says of it.
local PAYLOADS = {}

PAYLOADS["LNK_CONN"] = function(p, tree, dialect)
  tree:add_le(F["media_id"], p(64, 16))
  if dialect == LINKID then
    tree:add_le(F["pfs_clid"], p(80, 16))
    tree:add_le(F["pfs_fsid"], p(96, 16))
  else
    tree:add_le(F["peer_id"], p(80, 16))
  end
  tree:add_le(F["peer_mask"], p(112, 8))
  tree:add_le(F["peer_type"], p(120, 1))
  if dialect == LINKID then
    add_pfs_type(tree, "pfs_type", p(121, 1), dialect)
  end
  tree:add_le(F["proto_version"], p(122, 2))
  tree:add_le(F["status"], p(124, 4))
  if dialect == LINKID then
    tree:add_le(F["dist"], p(136, 4))
    return add_text(tree, "label", p(196, 256), true)
  end
  tree:add_le(F["rnss"], p(128, 4))
  return add_text(tree, "peer_label", p(196, 128), true)
end

PAYLOADS["LNK_SPAN"] = function(p, tree, dialect)
  if dialect == LINKID then
    tree:add_le(F["pfs_clid"], p(64, 16))
    tree:add_le(F["pfs_fsid"], p(80, 16))
  else
    tree:add_le(F["peer_id"], p(64, 16))
    tree:add_le(F["pfs_id"], p(80, 16))
  end
  add_pfs_type(tree, "pfs_type", p(96, 1), dialect)
  tree:add_le(F["peer_type"], p(97, 1))
  tree:add_le(F["proto_version"], p(98, 2))
  tree:add_le(F["status"], p(100, 4))
  if dialect == LINKID then
    tree:add_le(F["dist"], p(112, 4))
    return add_text(tree, "label", p(176, 256), true)
  end
  tree:add_le(F["dist_unsigned"], p(112, 4))
  tree:add_le(F["rnss"], p(116, 4))
  tree:add_le(F["media.bytes"], p(120, 8))
  tree:add_le(F["media.blksize"], p(128, 4))
  local peer = add_text(tree, "peer_label", p(176, 128), true)
  local pfs = add_text(tree, "pfs_label", p(304, 128), true)
  return peer .. "/" .. pfs
end

PAYLOADS["LNK_VOLCONF"] = function(p, tree, dialect)
  tree:add_le(F["volconf.copyid"], p(64, 1))
  tree:add_le(F["volconf.inprog"], p(65, 1))
  tree:add_le(F["volconf.chain_to"], p(66, 1))
  tree:add_le(F["volconf.chain_from"], p(67, 1))
  local flags = tree:add_le(F["volconf.flags"], p(68, 2))
  flags:add_le(F["volconf.flags.enabled"], p(68, 2))
  flags:add_le(F["volconf.flags.inprog"], p(68, 2))
  tree:add_le(F["volconf.error"], p(70, 1))
  tree:add_le(F["volconf.priority"], p(71, 1))
  add_pfs_type(tree, "volconf.remote_pfs_type", p(72, 1), dialect)
  tree:add_le(F["volconf.pfs_clid"], p(96, 16))
  add_text(tree, "volconf.label", p(112, 16), true)
  local path = add_text(tree, "volconf.path", p(128, 64), true)
  tree:add_le(F["volconf.index"], p(192, 4))
  tree:add_le(F["media_id"], p(200, 16))
  return "slot " .. p(192, 4):le_int() .. " " .. path
end

local function blk_modes(p, tree)
  local modes = tree:add_le(F["blk.modes"], p(64, 4))
  modes:add_le(F["blk.modes.read"], p(64, 4))
  modes:add_le(F["blk.modes.write"], p(64, 4))
  return nil
end

local function blk_io(p, tree)
  tree:add_le(F["blk.keyid"], p(64, 8))
  tree:add_le(F["blk.offset"], p(72, 8))
  tree:add_le(F["blk.bytes"], p(80, 4))
  tree:add_le(F["blk.flags"], p(84, 4))
  return p(80, 4):le_uint() .. " at " .. tostring(p(72, 8):le_uint64())
end

PAYLOADS["BLK_OPEN"] = blk_modes
PAYLOADS["BLK_CLOSE"] = blk_modes
PAYLOADS["BLK_READ"] = blk_io
PAYLOADS["BLK_WRITE"] = blk_io
PAYLOADS["BLK_FLUSH"] = blk_io
PAYLOADS["BLK_FREEBLKS"] = blk_io

PAYLOADS["BLK_ERROR"] = function(p, tree)
  tree:add_le(F["blk.keyid"], p(64, 8))
  tree:add_le(F["blk.resid"], p(72, 4))
  add_text(tree, "blk.text", p(80, 64), true)
  return nil
end

local function flag_names(cmd)
  local names = {}
  for _, flag in ipairs(FLAGS) do
    if bit32.btest(cmd, flag[1]) then
      names[#names + 1] = flag[2]
    end
  end
  return table.concat(names, "|")
end

local function add_core_header(tvb, tree, little, dialect, aux)
  local function add(into, name, at, bytes)
    if little then
      return into:add_le(F[name], tvb(at, bytes))
    end
    return into:add(F[name], tvb(at, bytes))
  end
  local header = tree:add(dmsg, tvb(0, CORE_BYTES), "Core header, " .. (little and "little" or "big") .. "-endian")
  add(header, "magic", 0, 2)
  add(header, "reserved", 2, 2)
  add(add(header, "salt", 4, 4), "sequence", 4, 4)
  add(header, "msgid", 8, 8)
  if dialect == LINKID then
    add(header, "source", 16, 8)
    add(header, "target", 24, 8)
  else
    add(header, "circuit", 16, 8)
    add(header, "link_verifier", 24, 8)
  end
  local cmd = add(header, "cmd", 32, 4)
  for _, name in ipairs({ "create", "delete", "reply", "abort" }) do
    add(cmd, "flags." .. name, 32, 4)
  end
  if dialect == LINKID then
    add(cmd, "flags.auxoob", 32, 4)
  else
    add(cmd, "flags.revtrans", 32, 4)
    add(cmd, "flags.revcirc", 32, 4)
  end
  add(cmd, "cmd.protocol", 32, 4)
  add(cmd, "cmd.number", 32, 4)
  add(cmd, "cmd.size", 32, 4)
  add(header, "aux_crc", 36, 4)
  add(header, "aux_bytes", 40, 4)
  header:add(F["aux_size"], tvb(40, 4), aux):set_generated()
  add(header, "error", 44, 4)
  add(header, "aux_descr", 48, 8)
  add(header, "reserved2", 56, 4)
  return header, add(header, "hdr_crc", 60, 4)
end

local function header_crc_is_right(tvb, offset, head, little)
  local raw = tvb(offset, head):raw()
  return crc32c(raw:sub(1, 60) .. "\0\0\0\0" .. raw:sub(65)) == word(tvb, offset + 60, little)
end

local function dissect_message(tvb, pinfo, tree)
  pinfo.cols.protocol = "DMSG"
  local little = is_little(tvb, 0)
  if little == nil then
    tree:add(F["unparsed"], tvb()):add_proto_expert_info(bad_magic)
    return tvb:len()
  end
  local dialect = dialect_of(tvb, 0, little)
  local head, aux_padded, aux = sizes(tvb, 0, little, dialect)
  if head == nil then
    tree:add(F["unparsed"], tvb()):add_proto_expert_info(out_of_limits)
    return tvb:len()
  end
  local cmd = word(tvb, 32, little)
  local base_cmd = bit32.band(cmd, 0xffffff)
  local name = COMMANDS[base_cmd] or string.format("0x%06x", base_cmd)
  local flags = flag_names(cmd)
  local title = flags == "" and name or name .. "|" .. flags
  local top = tree:add(dmsg, tvb(0, head + aux_padded), "DMSG " .. dialect .. ", " .. title)
  top:add(F["dialect"], tvb(0, 2), dialect):set_generated()
  top:add(F["command"], tvb(32, 4), name):set_generated()
  if flags ~= "" then
    top:add(F["flag_names"], tvb(32, 4), flags):set_generated()
  end
  local _, crc = add_core_header(tvb, top, little, dialect, aux)
  if dmsg.prefs.crc and not header_crc_is_right(tvb, 0, head, little) then
    crc:add_proto_expert_info(bad_crc)
  end
  local said = nil
  if head > CORE_BYTES then
    local payload = top:add(F["payload"], tvb(CORE_BYTES, head - CORE_BYTES))
    local show = PAYLOADS[name]
    -- The payload of LNK_CONN has its own dialect's layout, whatever the rest of the connection speaks.
    local layout = base_cmd == 0x001108 and LINKID or base_cmd == 0x001106 and CIRCUIT or dialect
    if show then
      local ok, result = pcall(show, tvb(0, head):tvb(), payload, layout)
      if ok then
        said = result
      else
        payload:add_proto_expert_info(short_payload, tostring(result))
      end
    end
  end
  if aux_padded > 0 then
    local data = top:add(F["aux"], tvb(head, math.max(aux, 1)))
    if dmsg.prefs.crc and crc32c(tvb(head, aux_padded):raw()) ~= word(tvb, 36, little) then
      data:add_proto_expert_info(bad_aux_crc)
    end
    if base_cmd == 0x100101 then
      said = text_of(tvb(head, aux), false)
      top:add(F["shell.text"], tvb(head, aux), said)
    end
    if aux_padded > aux then
      top:add(F["padding"], tvb(head + aux, aux_padded - aux))
    end
  end
  local err = word(tvb, 44, little)
  local info = title
  if err ~= 0 then
    info = info .. " " .. (ERRORS[err] or ("error " .. err))
  end
  if said and said ~= "" and said ~= "/" then
    info = info .. " " .. said:gsub("%s+", " "):sub(1, 60)
  end
  if pinfo.private["dmsg"] == tostring(pinfo.number) then
    pinfo.cols.info:append("; " .. info)
  else
    pinfo.cols.info = info
    pinfo.private["dmsg"] = tostring(pinfo.number)
  end
  return head + aux_padded
end

-- Where the first whole header begins, by its checksum; nil: nowhere.
local function find_header(tvb)
  local raw = tvb():raw()
  local at = 1
  while true do
    local a = raw:find("2H", at, true)
    local b = raw:find("H2", at, true)
    local found = a and b and math.min(a, b) or a or b
    if found == nil or found - 1 + CORE_BYTES > tvb:len() then
      return nil
    end
    local offset = found - 1
    local little = is_little(tvb, offset)
    local head = bit32.band(word(tvb, offset + 32, little), 0xff) * 64
    if head >= CORE_BYTES and head <= MAX_HEADER_BYTES and offset + head <= tvb:len() then
      if header_crc_is_right(tvb, offset, head, little) then
        return offset
      end
    end
    at = found + 1
  end
end

function dmsg.dissector(tvb, pinfo, tree)
  if tvb:len() ~= tvb:reported_len() and tvb:len() < CORE_BYTES then
    return 0
  end
  local offset = 0
  if tvb:len() >= 2 and is_little(tvb, 0) == nil then
    -- The capture begins within a message, or something is missing before this; or it is encrypted, or no DMSG.
    offset = find_header(tvb)
    if offset == nil then
      return 0
    end
    tree:add(F["unparsed"], tvb(0, offset)):append_text(" (the end of one that is not here)")
  end
  local rest = offset == 0 and tvb or tvb(offset):tvb()
  dissect_tcp_pdus(rest, tree, CORE_BYTES, message_length, dissect_message, true)
  return tvb:len()
end

DissectorTable.get("tcp.port"):add(PORT, dmsg)

dmsg:register_heuristic("tcp", function(tvb, pinfo, tree)
  if tvb:len() < CORE_BYTES then
    return false
  end
  local little = is_little(tvb, 0)
  if little == nil then
    return false
  end
  local head = bit32.band(word(tvb, 32, little), 0xff) * 64
  if head == 0 or head > MAX_HEADER_BYTES or head > tvb:len() or not header_crc_is_right(tvb, 0, head, little) then
    return false
  end
  pinfo.conversation = dmsg
  dmsg.dissector(tvb, pinfo, tree)
  return true
end)
