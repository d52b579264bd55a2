// An echo server in its own process, so that its descriptors are not the test's: prints its port, then serves.
const server = Bun.listen({
  hostname: "127.0.0.1",
  port: 0,
  socket: {
    data(socket, chunk) {
      socket.write(chunk)
    },
  },
})
console.log(server.port)
