"""Prints all nodes: python docs/examples/nodes.py [HOST:PORT]. Stubs beforehand: docs/api.md."""

import sys

import grpc
from spanmesh.v1 import topology_pb2, topology_pb2_grpc

address = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:7987"
# With TLS: grpc.secure_channel(address, grpc.ssl_channel_credentials(open("ca.crt", "rb").read()),
#   options=[("grpc.ssl_target_name_override", "api.spanmesh")]), and metadata=[("authorization", f"Bearer {token}")] in each call.
with grpc.insecure_channel(address) as channel:
    topology = topology_pb2_grpc.TopologyStub(channel)
    token = ""
    while True:
        page = topology.ListNodes(topology_pb2.ListNodesRequest(page_token=token), timeout=10)
        for node in page.nodes:
            print(node.key.cluster.id, node.key.id, node.label)
        token = page.next_page_token
        if not token:
            break
