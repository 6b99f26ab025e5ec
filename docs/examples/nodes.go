// Prints all nodes: nodes [HOST:PORT]. How the stubs are made, and how it is with TLS and a token: docs/api.md.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"time"

	"google.golang.org/grpc"

	spanmeshv1 "spanmesh/v1"
)

func main() {
	address := "127.0.0.1:7987"
	if len(os.Args) > 1 {
		address = os.Args[1]
	}
	// Newer releases of grpc: grpc.NewClient, and insecure.NewCredentials() from grpc/credentials/insecure.
	conn, err := grpc.Dial(address, grpc.WithInsecure())
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	topology := spanmeshv1.NewTopologyClient(conn)
	for token := ""; ; {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		page, err := topology.ListNodes(ctx, &spanmeshv1.ListNodesRequest{PageToken: token})
		cancel()
		if err != nil {
			log.Fatal(err)
		}
		for _, node := range page.Nodes {
			fmt.Println(node.Key.Cluster.Id, node.Key.Id, node.Label)
		}
		if token = page.NextPageToken; token == "" {
			return
		}
	}
}
