"""Keeps a list of all nodes, and prints what changes in it: python docs/examples/watch.py [HOST:PORT]. Stubs beforehand: docs/api.md."""

import sys
import time

import grpc
from spanmesh.v1 import topology_pb2 as pb
from spanmesh.v1.topology_pb2_grpc import TopologyStub


def listed(topology):
    """All nodes. What changes meanwhile comes again with a watch from the first page's revision."""
    nodes, revision, token = {}, "", ""
    while not revision or token:
        page = topology.ListNodes(pb.ListNodesRequest(page_token=token), timeout=10)
        nodes.update({key(node): node.label for node in page.nodes})
        revision, token = revision or page.revision, page.next_page_token
    return nodes, revision


def key(node):
    return node.key.SerializeToString(deterministic=True)


def become(new):
    """Takes `new` for the list, and prints the difference."""
    for sign, some, others in (("-", nodes, new), ("+", new, nodes)):
        for gone in some.keys() - others.keys():
            print(sign, some[gone], flush=True)
    nodes.clear()
    nodes.update(new)


topology = TopologyStub(grpc.insecure_channel(sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:7987"))
nodes, revision = {}, ""
while True:
    try:
        if not revision:
            new, revision = listed(topology)
            become(new)
        for message in topology.Watch(pb.WatchRequest(revision=revision)):
            event = getattr(message, message.WhichOneof("event"))
            revision = "" if message.HasField("list_again") else event.revision
            for change in message.changes.changes:
                if change.HasField("node"):
                    removed = change.kind == pb.CHANGE_KIND_REMOVED
                    become({k: v for k, v in nodes.items() if k != key(change.node)} | ({} if removed else {key(change.node): change.node.label}))
    except grpc.RpcError as error:
        print(error.code().name, file=sys.stderr, flush=True)
    time.sleep(1)
