/** Settings by which a standalone of a test listens on free ports, has no console and keeps nothing. */
export const ANY_PORTS = {
  SPANMESH_GRPC_LISTEN: '127.0.0.1:0',
  SPANMESH_HTTP_LISTEN: '127.0.0.1:0',
  SPANMESH_DMSG_LISTEN: '127.0.0.1:0',
  SPANMESH_CONSOLE_LISTEN: '',
  SPANMESH_DATA_DIR: '',
};
