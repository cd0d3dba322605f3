Chatty.main()
